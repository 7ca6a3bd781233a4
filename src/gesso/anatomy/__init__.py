"""What a model is made of, read from its real modules: outline, arithmetic, report and figure."""

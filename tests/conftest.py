"""Settings of the whole test run."""

from hypothesis import settings

settings.register_profile("gesso", max_examples=50, deadline=None)  # a busy machine is no failure
settings.load_profile("gesso")

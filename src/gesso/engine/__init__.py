"""How the models run on a device, without the models knowing."""

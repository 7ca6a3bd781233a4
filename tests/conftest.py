"""Settings of the whole test run."""

from hypothesis import settings

settings.register_profile("gesso", deadline=None, print_blob=True)  # a busy machine is no failure
settings.load_profile("gesso")

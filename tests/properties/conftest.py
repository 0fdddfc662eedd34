from hypothesis import settings

# No deadline: a busy machine is no finding.
settings.register_profile("netphone", parent=settings.default, deadline=None)
settings.load_profile("netphone")

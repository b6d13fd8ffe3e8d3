"""What this machine can and cannot run, and what to do about it.

Every probe is on its own: one that fails is a finding and hides no other. Probes take what they judge as parameters;
they mend nothing and leave nothing behind.
"""

# Faults of the machine against the real program: power, disk, descriptors, signals, system calls.
# What a machine does not permit is skipped, and says why.
program_tests(fault)

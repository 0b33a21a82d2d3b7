# The real program over HTTP, with real databases.
program_tests(integration)

"""What integration tests are built from: real processes, real Redis, faulty networks."""

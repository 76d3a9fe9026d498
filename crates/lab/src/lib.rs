//! The embedded S3 server: exact counters, synthetic objects, faults on demand.

//! For tests and benches only: a mounted file system under test, S3 servers to run it against, a reader that checks every byte.

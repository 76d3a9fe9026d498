//! The mount-s3 command: flags to configuration to wiring; daemon, keeper, logs, subcommands.

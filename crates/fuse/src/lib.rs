//! The wire to the kernel: ABI, mounting, session, replies, notifications, resend and take-over.

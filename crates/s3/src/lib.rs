//! The Store over HTTP: credentials, endpoints, signing, requests, retries, checksums, listing.

//! The lab host, and what the end-to-end tests share.

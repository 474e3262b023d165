//! DCE/RPC PDUs.

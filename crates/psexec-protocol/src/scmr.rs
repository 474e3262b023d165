//! MS-SCMR calls.

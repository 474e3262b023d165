//! Win32 error codes that users meet, under the names of [MS-ERREF] 2.2.
//!
//! [MS-ERREF]: https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-erref/1bc92ddf-b79e-413c-bbaa-99a5281a6c90

pub(crate) const ERROR_FILE_NOT_FOUND: u32 = 2;
pub(crate) const ERROR_PATH_NOT_FOUND: u32 = 3;
pub(crate) const ERROR_ACCESS_DENIED: u32 = 5;
pub(crate) const ERROR_BAD_NETPATH: u32 = 53;
pub(crate) const ERROR_BAD_NET_NAME: u32 = 67;
pub(crate) const ERROR_INVALID_PARAMETER: u32 = 87;
pub(crate) const ERROR_INVALID_NAME: u32 = 123;
pub(crate) const ERROR_BAD_EXE_FORMAT: u32 = 193;
pub(crate) const ERROR_EXE_MACHINE_TYPE_MISMATCH: u32 = 216;
pub(crate) const ERROR_VIRUS_INFECTED: u32 = 225;
pub(crate) const ERROR_VIRUS_DELETED: u32 = 226;
pub(crate) const ERROR_DIRECTORY: u32 = 267;
pub(crate) const ERROR_INVALID_IMAGE_HASH: u32 = 577;
pub(crate) const ERROR_ELEVATION_REQUIRED: u32 = 740;
pub(crate) const ERROR_NO_TOKEN: u32 = 1008;
pub(crate) const ERROR_SERVICE_REQUEST_TIMEOUT: u32 = 1053;
pub(crate) const ERROR_SERVICE_DATABASE_LOCKED: u32 = 1055;
pub(crate) const ERROR_PROCESS_ABORTED: u32 = 1067;
pub(crate) const ERROR_SERVICE_MARKED_FOR_DELETE: u32 = 1072;
pub(crate) const ERROR_SERVICE_EXISTS: u32 = 1073;
pub(crate) const ERROR_SHUTDOWN_IN_PROGRESS: u32 = 1115;
pub(crate) const ERROR_ACCESS_DISABLED_BY_POLICY: u32 = 1260;
pub(crate) const ERROR_LOGON_FAILURE: u32 = 1326;
pub(crate) const ERROR_ACCOUNT_RESTRICTION: u32 = 1327;
pub(crate) const ERROR_PASSWORD_EXPIRED: u32 = 1330;
pub(crate) const ERROR_ACCOUNT_DISABLED: u32 = 1331;
pub(crate) const ERROR_LOGON_TYPE_NOT_GRANTED: u32 = 1385;
pub(crate) const ERROR_PASSWORD_MUST_CHANGE: u32 = 1907;
pub(crate) const ERROR_ACCOUNT_LOCKED_OUT: u32 = 1909;
pub(crate) const ERROR_SYSTEM_INTEGRITY_POLICY_VIOLATION: u32 = 4551;
pub(crate) const ERROR_CTX_PD_NOT_FOUND: u32 = 7003;
pub(crate) const ERROR_CTX_WINSTATION_NOT_FOUND: u32 = 7022;

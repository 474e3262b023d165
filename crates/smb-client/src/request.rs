//! The requests that this client makes.
//!
//! [MS-SMB2]: https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-smb2/5606ad47-5ee0-437a-817e-70c366052962
//! [MS-FSCC]: https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-fscc/efbfe127-73ad-4140-9967-ec6500e66d5e
use smb::{DirAccessMask, FileAccessMask, FileAttributes, QueryDirectoryInfoClass};
use smb_msg::*;

/// Bytes that a transceive may answer at once: a whole DCE/RPC fragment.
pub(crate) const MAX_TRANSCEIVE: u32 = 65536;

/// A request before it has a message id.
pub(crate) struct Request {
    pub(crate) tree_id: u32,
    /// Its header is filled in each time that it is sent.
    pub(crate) message: PlainRequest,
    /// Bytes behind the body: what a WRITE writes.
    pub(crate) data: Vec<u8>,
    pub(crate) when_dropped: WhenDropped,
}

/// What becomes of a request when nobody waits for its response any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhenDropped {
    /// The server is asked to give it up.
    Cancel,
    /// It changes the host beyond the connection: a CANCEL would end the wait for its response, not necessarily what it
    /// does. So it is left to be carried out, which can be waited for: [`Tree::settled`](crate::Tree::settled).
    Finish,
}

/// What a pipe is opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PipeAccess {
    /// What the other end writes is read.
    Read,
    /// The other end reads what is written.
    Write,
    /// Both.
    ReadWrite,
}

/// An open file or pipe.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FileHandle {
    pub(crate) tree_id: u32,
    pub(crate) id: FileId,
}

impl FileHandle {
    /// In a compound: what its first request opened, [MS-SMB2] 3.2.4.1.4.
    pub(crate) fn just_opened(tree_id: u32) -> Self {
        FileHandle { tree_id, id: FileId::FULL }
    }
}

impl Request {
    /// One that belongs to no tree.
    pub(crate) fn treeless(content: impl Into<RequestContent>) -> Self {
        Request::new(0, content.into())
    }

    /// Asks for a share by its UNC name.
    pub(crate) fn connect_tree(path: &str) -> Self {
        Request::treeless(TreeConnectRequest::new(path))
    }

    pub(crate) fn when_dropped(self, when_dropped: WhenDropped) -> Self {
        Request { when_dropped, ..self }
    }

    /// The name of its command, as in [MS-SMB2] and [MS-FSCC].
    pub(crate) fn command_name(&self) -> &'static str {
        match &self.message.content {
            RequestContent::Negotiate(_) => "NEGOTIATE",
            RequestContent::SessionSetup(_) => "SESSION_SETUP",
            RequestContent::TreeConnect(_) => "TREE_CONNECT",
            RequestContent::Create(_) => "CREATE",
            RequestContent::Close(_) => "CLOSE",
            RequestContent::Read(_) => "READ",
            RequestContent::Write(_) => "WRITE",
            RequestContent::Ioctl(IoctlRequest { buffer: IoctlReqData::FsctlPipeTransceive(_), .. }) => {
                "FSCTL_PIPE_TRANSCEIVE"
            }
            RequestContent::Ioctl(_) => "IOCTL",
            RequestContent::QueryDirectory(_) => "QUERY_DIRECTORY",
            _ => "a request",
        }
    }

    fn new(tree_id: u32, content: RequestContent) -> Self {
        let message = PlainRequest::new(content);
        Request { tree_id, message, data: Vec::new(), when_dropped: WhenDropped::Cancel }
    }

    /// Opens a pipe of IPC$.
    pub(crate) fn open_pipe(tree_id: u32, name: &str, access: PipeAccess) -> Self {
        let (read, write) = match access {
            PipeAccess::Read => (true, false),
            PipeAccess::Write => (false, true),
            PipeAccess::ReadWrite => (true, true),
        };
        let access = FileAccessMask::new()
            .with_file_read_data(read)
            .with_file_write_data(write)
            .with_file_append_data(write)
            .with_file_read_attributes(true)
            .with_synchronize(true);
        Self::create(
            tree_id,
            name,
            access,
            CreateDisposition::Open,
            CreateOptions::new().with_non_directory_file(true),
        )
    }

    /// Creates a file that must not exist yet.
    pub(crate) fn create_file(tree_id: u32, name: &str) -> Self {
        let access = FileAccessMask::new()
            .with_file_write_data(true)
            .with_file_append_data(true)
            .with_synchronize(true);
        let options = CreateOptions::new().with_non_directory_file(true).with_sequential_only(true);
        Self::create(tree_id, name, access, CreateDisposition::Create, options)
    }

    /// Opens a file that is there, to read it.
    pub(crate) fn open_file(tree_id: u32, name: &str) -> Self {
        let access = FileAccessMask::new()
            .with_file_read_data(true)
            .with_file_read_attributes(true)
            .with_synchronize(true);
        let options = CreateOptions::new().with_non_directory_file(true).with_sequential_only(true);
        Self::create(tree_id, name, access, CreateDisposition::Open, options)
    }

    /// Opens a file so that its closing deletes it.
    pub(crate) fn open_to_delete(tree_id: u32, name: &str) -> Self {
        let access = FileAccessMask::new().with_delete(true).with_file_read_attributes(true);
        let options = CreateOptions::new().with_non_directory_file(true).with_delete_on_close(true);
        Self::create(tree_id, name, access, CreateDisposition::Open, options)
    }

    /// Opens a directory for listing; the root of a share has the empty path.
    pub(crate) fn open_directory(tree_id: u32, path: &str) -> Self {
        let access = DirAccessMask::new().with_list_directory(true).with_synchronize(true);
        let options = CreateOptions::new().with_directory_file(true);
        let request = Self::create(tree_id, path, access.into(), CreateDisposition::Open, options);
        // 2.2.13: the buffer has one byte at least, also where the name has none.
        let padding = if path.is_empty() { vec![0; 8] } else { Vec::new() };
        Request { data: padding, ..request }
    }

    /// Lists what matches `pattern`, as much as fits into 64 KiB.
    pub(crate) fn query_directory(directory: FileHandle, pattern: &str) -> Self {
        let content = QueryDirectoryRequest {
            file_information_class: QueryDirectoryInfoClass::DirectoryInformation,
            flags: QueryDirectoryFlags::new(),
            file_index: 0,
            file_id: directory.id,
            output_buffer_length: 65536,
            file_name: pattern.into(),
        };
        Request::new(directory.tree_id, RequestContent::QueryDirectory(content))
    }

    fn create(
        tree_id: u32,
        name: &str,
        desired_access: FileAccessMask,
        create_disposition: CreateDisposition,
        create_options: CreateOptions,
    ) -> Self {
        // A file that is being deleted or run can be opened by others too.
        let share_access = ShareAccessFlags::new().with_read(true).with_delete(true).with_write(true);
        Request::new(
            tree_id,
            RequestContent::Create(CreateRequest {
                requested_oplock_level: OplockLevel::None,
                impersonation_level: ImpersonationLevel::Impersonation,
                desired_access,
                file_attributes: FileAttributes::new(),
                share_access,
                create_disposition,
                create_options,
                name: name.into(),
                contexts: Vec::new().into(),
            }),
        )
    }

    pub(crate) fn close(file: FileHandle) -> Self {
        let content = CloseRequest { file_id: file.id };
        Request::new(file.tree_id, RequestContent::Close(content))
    }

    /// Reads up to `length` bytes of a pipe, which has no offset.
    pub(crate) fn read(pipe: FileHandle, length: u32) -> Self {
        Self::read_at(pipe, 0, length)
    }

    /// Reads up to `length` bytes of a file.
    pub(crate) fn read_at(file: FileHandle, offset: u64, length: u32) -> Self {
        let content =
            ReadRequest { flags: ReadFlags::new(), length, offset, file_id: file.id, minimum_count: 0 };
        Request::new(file.tree_id, RequestContent::Read(content))
    }

    pub(crate) fn write(file: FileHandle, offset: u64, data: Vec<u8>) -> Self {
        let content = WriteRequest::new(offset, file.id, WriteFlags::new(), length(&data));
        Request { data, ..Request::new(file.tree_id, RequestContent::Write(content)) }
    }

    /// FSCTL_PIPE_TRANSCEIVE, [MS-FSCC] 2.3.47: writes a message and reads the answer.
    pub(crate) fn transceive(file: FileHandle, message: Vec<u8>) -> Self {
        let buffer = IoctlReqData::FsctlPipeTransceive(IoctlBuffer::from(message).into());
        Self::ioctl(file, FsctlCodes::PipeTransceive, buffer, MAX_TRANSCEIVE)
    }

    /// FSCTL_VALIDATE_NEGOTIATE_INFO, [MS-SMB2] 2.2.31.4.
    pub(crate) fn validate_negotiate(tree_id: u32, info: ValidateNegotiateInfoRequest) -> Self {
        let no_file = FileHandle { tree_id, id: FileId::FULL };
        let buffer = IoctlReqData::FsctlValidateNegotiateInfo(info);
        Self::ioctl(no_file, FsctlCodes::ValidateNegotiateInfo, buffer, 24)
    }

    fn ioctl(file: FileHandle, code: FsctlCodes, buffer: IoctlReqData, max_output_response: u32) -> Self {
        Request::new(
            file.tree_id,
            RequestContent::Ioctl(IoctlRequest {
                ctl_code: code as u32,
                file_id: file.id,
                max_input_response: 0,
                max_output_response,
                flags: IoctlRequestFlags::new().with_is_fsctl(true),
                buffer,
            }),
        )
    }

    /// Bytes that count for the credit charge, [MS-SMB2] 3.2.4.1.5.
    pub(crate) fn payload(&self) -> u32 {
        match &self.message.content {
            RequestContent::Write(_) => length(&self.data),
            RequestContent::Read(read) => read.length,
            RequestContent::Ioctl(ioctl) => ioctl.buffer.get_size().max(ioctl.max_output_response),
            _ => 1,
        }
    }
}

/// No request carries as much as its length could tell.
fn length(data: &[u8]) -> u32 {
    u32::try_from(data.len()).unwrap_or(u32::MAX)
}

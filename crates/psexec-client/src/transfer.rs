//! Files that travel to the host and back, in pieces of which several are on their way at once.

use std::pin::pin;

use futures_util::stream::{StreamExt, TryStreamExt, iter, try_unfold};
use smb_client::{File, PeerMisbehaved, Tree};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::error::ErrorKind;

/// Writes a file that must not exist yet; answers its length. A short one takes two waits for the server.
pub(crate) async fn put(
    tree: &Tree,
    name: &str,
    content: &mut (impl AsyncRead + Unpin),
) -> Result<u64, ErrorKind> {
    let start = read_piece(content, FIRST).await?;
    let file = tree.write_new_file(name, &start).await?;
    let written = start.len() as u64;
    let length = file.max_piece();
    let pieces = try_unfold((content, written), |(content, offset)| async move {
        let piece = read_piece(content, length).await?;
        let next = offset + piece.len() as u64;
        Ok::<_, ErrorKind>((!piece.is_empty()).then_some(((offset, piece), (content, next))))
    });
    let file_ref = &file;
    let writes = pieces.map_ok(|(offset, piece)| async move {
        let count = piece.len() as u64;
        file_ref.write_at(offset, piece).await?;
        Ok(count)
    });
    let counts = writes.try_buffer_unordered(AT_ONCE);
    let rest: u64 = counts.try_fold(0, async |sum, count| Ok(sum + count)).await?;
    file.close().await?;
    Ok(written + rest)
}

/// Reads a file; answers its length.
pub(crate) async fn fetch(
    tree: &Tree,
    name: &str,
    sink: &mut (impl AsyncWrite + Unpin),
) -> Result<u64, ErrorKind> {
    let file = tree.open_file(name).await?;
    let fetched = fetch_open(&file, sink).await?;
    sink.flush().await?;
    file.close().await?;
    Ok(fetched)
}

async fn fetch_open(file: &File, sink: &mut (impl AsyncWrite + Unpin)) -> Result<u64, ErrorKind> {
    let length = file.length();
    let step = file.max_piece();
    let reads = iter((0..length).step_by(step)).map(|offset| {
        // No longer than a piece, and so than 32 bits hold.
        let wanted = u32::try_from((length - offset).min(step as u64)).unwrap_or(u32::MAX);
        async move { Ok::<_, ErrorKind>((offset, file.read_at(offset, wanted).await?)) }
    });
    let mut reads = pin!(reads.buffered(AT_ONCE));
    let mut fetched = 0;
    while let Some(read) = reads.next().await {
        let (offset, piece) = read?;
        // Where one is short the file has become shorter: nothing follows it.
        if offset != fetched && !piece.is_empty() {
            return Err(ErrorKind::Lost(PeerMisbehaved::Malformed.into()));
        }
        sink.write_all(&piece).await?;
        fetched += piece.len() as u64;
    }
    Ok(fetched)
}

/// As much as there is, up to `length` bytes.
async fn read_piece(content: &mut (impl AsyncRead + Unpin), length: usize) -> Result<Vec<u8>, ErrorKind> {
    let mut piece = Vec::new();
    content.take(length as u64).read_to_end(&mut piece).await?;
    Ok(piece)
}

/// Bytes that travel with the request that makes a file.
const FIRST: usize = 65536;
/// Pieces on their way at once: enough to fill a long link, and little memory.
const AT_ONCE: usize = 16;

//! What the test programs on the Windows host and the tests themselves have to agree on.

#[cfg(windows)]
pub mod processes;

/// The bytes `[0, length)` of the pattern that `probe emit` writes: printable ASCII in lines of 64 bytes,
/// no two neighbouring lines alike, so that a lost, doubled or displaced byte is seen.
pub fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(pattern_byte).collect()
}

fn pattern_byte(offset: usize) -> u8 {
    const LINE: usize = 64;
    const PRINTABLE: usize = 94;

    let (line, column) = (offset / LINE, offset % LINE);
    let printable = u8::try_from((line * 7 + column) % PRINTABLE).unwrap_or(0);
    if column == LINE - 1 { b'\n' } else { b'!' + printable }
}

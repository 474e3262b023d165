//! What the client's settings say to Windows.

/// What a 32-bit program gets when it starts `executable`: Windows redirects it from the folder `system` to the one for
/// 32-bit programs, which is also where a bare name is looked for first. `None` for what is somewhere else.
pub(crate) fn redirected(executable: &str, system: &str, system_of_32_bit: &str) -> Option<String> {
    let in_system = match executable.split_at_checked(system.len()) {
        Some((folder, rest)) if folder.eq_ignore_ascii_case(system) => rest.strip_prefix('\\'),
        _ => None,
    };
    let name = in_system.or_else(|| (!executable.contains(['\\', '/', ':'])).then_some(executable))?;
    let file = name.rsplit('\\').next().unwrap_or(name);
    let extension = if file.contains('.') { "" } else { ".exe" };
    Some(format!("{system_of_32_bit}\\{name}{extension}"))
}

/// The affinity mask for processors counted from 1, of those the host has; `None` if no processor is left.
pub(crate) fn affinity_mask(processors: &[u32], present: usize) -> Option<usize> {
    let wanted = processors
        .iter()
        .filter_map(|processor| 1usize.checked_shl(processor.checked_sub(1)?))
        .fold(0, |mask, bit| mask | bit);
    let mask = wanted & present;
    (mask != 0).then_some(mask)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_the_systems_folder_is_redirected() {
        let redirected = |executable| redirected(executable, r"C:\Windows\system32", r"C:\Windows\SysWOW64");
        for (executable, expected) in [
            ("cmd.exe", r"C:\Windows\SysWOW64\cmd.exe"),
            ("cmd", r"C:\Windows\SysWOW64\cmd.exe"),
            (r"c:\windows\System32\cmd.exe", r"C:\Windows\SysWOW64\cmd.exe"),
            (r"C:\Windows\System32\a.b\c", r"C:\Windows\SysWOW64\a.b\c.exe"),
        ] {
            assert_eq!(redirected(executable).as_deref(), Some(expected), "{executable}");
        }
        for elsewhere in [r"C:\Windows\System32x\cmd.exe", r"D:\x.exe", "a/b.exe", r"C:\Windows\explorer.exe"]
        {
            assert_eq!(redirected(elsewhere), None, "{elsewhere}");
        }
    }

    #[test]
    fn affinity_counts_from_one() {
        assert_eq!(affinity_mask(&[1], 0b1111), Some(0b1));
        assert_eq!(affinity_mask(&[1, 3, 3], 0b1111), Some(0b101));
        assert_eq!(affinity_mask(&[64], usize::MAX), Some(1 << 63));
    }

    #[test]
    fn processors_that_are_not_there_do_not_count() {
        assert_eq!(affinity_mask(&[1, 5], 0b1111), Some(0b1));
        assert_eq!(affinity_mask(&[5], 0b1111), None);
        assert_eq!(affinity_mask(&[0], 0b1111), None);
        assert_eq!(affinity_mask(&[65, u32::MAX], usize::MAX), None);
    }
}

//! Which processes descend from another, as their list tells it.

/// A process in the list of all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Listed {
    pub(crate) id: u32,
    /// Of the process that has started it, which may have ended, and whose id may be another's now.
    pub(crate) parent: u32,
    /// When it was created, in units of 100 ns.
    pub(crate) created: u64,
}

/// Of `all`, those that descend from the `known` ones and are not among them. What is older than the process of its
/// parent's id was started by another one, which had that id before.
pub(crate) fn descendants(known: &[Listed], all: &[Listed]) -> Vec<Listed> {
    let mut found: Vec<Listed> = Vec::new();
    loop {
        let family = || known.iter().chain(&found);
        let is_child = |process: &&Listed| {
            family().all(|member| member.id != process.id)
                && family().any(|member| member.id == process.parent && member.created <= process.created)
        };
        match all.iter().find(is_child) {
            Some(child) => found.push(*child),
            None => return found,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(id: u32, parent: u32, created: u64) -> Listed {
        Listed { id, parent, created }
    }

    fn ids(known: &[Listed], all: &[Listed]) -> Vec<u32> {
        let mut ids: Vec<u32> = descendants(known, all).iter().map(|process| process.id).collect();
        ids.sort_unstable();
        ids
    }

    #[test]
    fn children_and_theirs_are_found_in_any_order() {
        let root = process(8, 4, 100);
        let all =
            [process(20, 16, 103), process(16, 12, 102), process(12, 8, 101), root, process(24, 4, 104)];
        assert_eq!(ids(&[root], &all), [12, 16, 20]);
    }

    #[test]
    fn a_process_of_the_same_moment_is_a_child() {
        let root = process(8, 4, 100);
        assert_eq!(ids(&[root], &[process(12, 8, 100)]), [12]);
    }

    #[test]
    fn what_is_older_than_its_parent_is_anothers() {
        let root = process(8, 4, 100);
        let all = [root, process(12, 8, 99), process(16, 12, 101)];
        assert_eq!(ids(&[root], &all), [0u32; 0]);
    }

    #[test]
    fn those_that_are_known_and_have_ended_still_have_children() {
        let known = [process(8, 4, 100), process(12, 8, 101)];
        assert_eq!(ids(&known, &[process(16, 12, 102)]), [16]);
    }

    #[test]
    fn processes_that_name_each_other_come_to_an_end() {
        let all = [process(8, 12, 100), process(12, 8, 100), process(16, 16, 100), process(0, 0, 0)];
        assert_eq!(ids(&[process(8, 12, 100)], &all), [12]);
        assert_eq!(ids(&[], &all), [0u32; 0]);
    }
}

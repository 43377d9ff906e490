//! What a process uses, read from /proc.

use std::fs;

use crate::places::module_is_sanitized;

/// Memory, descriptors and reading of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Vitals {
    /// Memory in use (VmRSS), kB.
    pub rss: u64,
    /// The part of it that isn't shared with other processes, nor with a file (RssAnon), kB.
    pub own: u64,
    /// The most it ever was (VmHWM), kB.
    pub peak: u64,
    /// Addresses in use (VmSize), kB.
    pub mapped: u64,
    /// Bytes that it has read so far, from files, sockets and all else.
    pub read: u64,
    /// Open descriptors.
    pub descriptors: usize,
}

impl Vitals {
    /// Those of process `pid`; `None` if there is none.
    #[must_use]
    pub fn of(pid: i32) -> Option<Vitals> {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let io = fs::read_to_string(format!("/proc/{pid}/io")).ok()?;
        let number = |text: &str, name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name))?;
            line.trim_start_matches(':')
                .split_whitespace()
                .next()?
                .parse()
                .ok()
        };
        Some(Vitals {
            rss: number(&status, "VmRSS")?,
            own: number(&status, "RssAnon")?,
            peak: number(&status, "VmHWM")?,
            mapped: number(&status, "VmSize")?,
            read: number(&io, "rchar")?,
            descriptors: fs::read_dir(format!("/proc/{pid}/fd")).ok()?.count(),
        })
    }

    /// Checks that the memory in use has grown by less than `kilobytes` since `before`. It isn't checked where the module
    /// was built with AddressSanitizer, which keeps what is freed.
    ///
    /// # Panics
    ///
    /// If it has grown by more.
    #[track_caller]
    pub fn assert_grown_less(&self, before: &Vitals, kilobytes: u64) {
        self.assert_less(before, self.rss.saturating_sub(before.rss), kilobytes);
    }

    /// The same of the process's own memory.
    ///
    /// # Panics
    ///
    /// If it has grown by more.
    #[track_caller]
    pub fn assert_own_grown_less(&self, before: &Vitals, kilobytes: u64) {
        self.assert_less(before, self.own.saturating_sub(before.own), kilobytes);
    }

    #[track_caller]
    fn assert_less(&self, before: &Vitals, grown: u64, kilobytes: u64) {
        assert!(
            grown < kilobytes || module_is_sanitized(),
            "{grown} kB: {before:?}, {self:?}"
        );
    }

    /// Sets the peak of process `pid` to what it uses now.
    pub fn reset_peak(pid: i32) {
        let _ = fs::write(format!("/proc/{pid}/clear_refs"), "5");
    }
}

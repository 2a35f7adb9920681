//! System calls in audit records: their names, and what each does in the words of ECS.

/// A system call's name by its number on a machine. Calls that no rule asks for stay numbers.
pub(crate) fn name(arch: &str, number: &str) -> Option<&'static str> {
    let table = match arch {
        "c000003e" | "x86_64" => X86_64,
        "c00000b7" | "aarch64" => AARCH64,
        "40000003" | "i386" => I386,
        _ => return None,
    };
    let number: u16 = number.parse().ok()?;
    let at = table.binary_search_by_key(&number, |(number, _)| *number).ok()?;
    Some(table[at].1)
}

/// What a system call does: ECS `event.category` and `event.type`s.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Act {
    pub(crate) category: &'static str,
    pub(crate) kinds: &'static [&'static str],
}

/// What the call of that name does. Of `open`, whether it creates, writes or reads is for the caller to say.
pub(crate) fn act(name: &str) -> Act {
    let (category, kinds): (_, &[_]) = match name {
        "execve" | "execveat" | "fork" | "vfork" | "clone" | "clone3" => ("process", &["start"]),
        "exit" | "exit_group" => ("process", &["end"]),
        "connect" | "accept" | "accept4" => ("network", &["connection", "start"]),
        "bind" | "listen" | "socket" | "socketcall" | "setsockopt" => ("network", &["info"]),
        "sendto" | "sendmsg" | "sendmmsg" | "recvfrom" | "recvmsg" | "recvmmsg" => ("network", &["connection"]),
        "open" | "openat" | "openat2" | "open_by_handle_at" | "read" | "access" | "readlink" => ("file", &["access"]),
        "creat" | "mkdir" | "mkdirat" | "mknod" | "mknodat" | "link" | "linkat" | "symlink" | "symlinkat"
        | "memfd_create" => ("file", &["creation"]),
        "unlink" | "unlinkat" | "rmdir" => ("file", &["deletion"]),
        "rename" | "renameat" | "renameat2" | "truncate" | "ftruncate" | "write" | "writev" => ("file", &["change"]),
        "chmod" | "fchmod" | "fchmodat" | "fchmodat2" | "chown" | "fchown" | "lchown" | "fchownat" | "setxattr"
        | "lsetxattr" | "fsetxattr" | "removexattr" | "lremovexattr" | "fremovexattr" | "utime" | "utimensat" => {
            ("file", &["change"])
        }
        "init_module" | "finit_module" => ("driver", &["start"]),
        "delete_module" => ("driver", &["end"]),
        "mount" | "umount2" | "pivot_root" | "swapon" | "swapoff" | "kexec_load" | "kexec_file_load" => {
            ("configuration", &["change"])
        }
        "sethostname" | "setdomainname" | "settimeofday" | "clock_settime" | "adjtimex" | "clock_adjtime"
        | "reboot" => ("host", &["change"]),
        "setuid" | "setgid" | "setreuid" | "setregid" | "setresuid" | "setresgid" | "capset" | "setns" | "unshare"
        | "chroot" | "ptrace" | "process_vm_writev" | "kill" | "tkill" | "tgkill" | "prctl" | "seccomp" | "bpf" => {
            ("process", &["change"])
        }
        _ => ("process", &["info"]),
    };
    Act { category, kinds }
}

// The numbers are those of the kernel's tables: arch/x86/entry/syscalls/syscall_64.tbl and syscall_32.tbl, and
// include/uapi/asm-generic/unistd.h.

/// By number.
#[rustfmt::skip]
const X86_64: &[(u16, &str)] = &[
    (0, "read"), (1, "write"), (2, "open"), (3, "close"), (4, "stat"), (5, "fstat"), (6, "lstat"), (8, "lseek"),
    (9, "mmap"), (10, "mprotect"), (11, "munmap"), (12, "brk"), (13, "rt_sigaction"), (14, "rt_sigprocmask"),
    (16, "ioctl"), (20, "writev"), (21, "access"), (22, "pipe"), (23, "select"), (32, "dup"), (33, "dup2"),
    (39, "getpid"), (41, "socket"), (42, "connect"), (43, "accept"), (44, "sendto"), (45, "recvfrom"),
    (46, "sendmsg"), (47, "recvmsg"), (49, "bind"), (50, "listen"), (54, "setsockopt"), (56, "clone"), (57, "fork"),
    (58, "vfork"), (59, "execve"), (60, "exit"), (61, "wait4"), (62, "kill"), (63, "uname"), (72, "fcntl"),
    (76, "truncate"), (77, "ftruncate"), (80, "chdir"), (82, "rename"), (83, "mkdir"), (84, "rmdir"), (85, "creat"),
    (86, "link"), (87, "unlink"), (88, "symlink"), (89, "readlink"), (90, "chmod"), (91, "fchmod"), (92, "chown"),
    (93, "fchown"), (94, "lchown"), (95, "umask"), (96, "gettimeofday"), (101, "ptrace"), (102, "getuid"),
    (105, "setuid"), (106, "setgid"), (110, "getppid"), (113, "setreuid"), (114, "setregid"), (117, "setresuid"),
    (119, "setresgid"), (126, "capset"), (132, "utime"), (133, "mknod"), (138, "fstatfs"), (155, "pivot_root"),
    (157, "prctl"), (159, "adjtimex"), (160, "setrlimit"), (161, "chroot"), (164, "settimeofday"), (165, "mount"),
    (166, "umount2"), (167, "swapon"), (168, "swapoff"), (169, "reboot"), (170, "sethostname"),
    (171, "setdomainname"), (175, "init_module"), (176, "delete_module"), (188, "setxattr"), (189, "lsetxattr"),
    (190, "fsetxattr"), (197, "removexattr"), (198, "lremovexattr"), (199, "fremovexattr"), (200, "tkill"),
    (227, "clock_settime"), (228, "clock_gettime"), (231, "exit_group"), (234, "tgkill"), (246, "kexec_load"),
    (257, "openat"), (258, "mkdirat"), (259, "mknodat"), (260, "fchownat"), (263, "unlinkat"), (264, "renameat"),
    (265, "linkat"), (266, "symlinkat"), (268, "fchmodat"), (272, "unshare"), (280, "utimensat"), (288, "accept4"),
    (299, "recvmmsg"), (304, "open_by_handle_at"), (305, "clock_adjtime"), (307, "sendmmsg"), (308, "setns"),
    (310, "process_vm_readv"), (311, "process_vm_writev"), (313, "finit_module"), (316, "renameat2"),
    (317, "seccomp"), (319, "memfd_create"), (320, "kexec_file_load"), (321, "bpf"), (322, "execveat"),
    (323, "userfaultfd"), (425, "io_uring_setup"), (435, "clone3"), (437, "openat2"), (452, "fchmodat2"),
];

/// By number.
#[rustfmt::skip]
const AARCH64: &[(u16, &str)] = &[
    (5, "setxattr"), (6, "lsetxattr"), (7, "fsetxattr"), (14, "removexattr"), (29, "ioctl"), (33, "mknodat"),
    (34, "mkdirat"), (35, "unlinkat"), (36, "symlinkat"), (37, "linkat"), (38, "renameat"), (39, "umount2"),
    (40, "mount"), (41, "pivot_root"), (45, "truncate"), (46, "ftruncate"), (49, "chdir"), (51, "chroot"),
    (52, "fchmod"), (53, "fchmodat"), (54, "fchownat"), (55, "fchown"), (56, "openat"), (57, "close"), (63, "read"),
    (64, "write"), (88, "utimensat"), (91, "capset"), (93, "exit"), (94, "exit_group"), (97, "unshare"),
    (104, "kexec_load"), (105, "init_module"), (106, "delete_module"), (112, "clock_settime"), (117, "ptrace"),
    (129, "kill"), (130, "tkill"), (131, "tgkill"), (142, "reboot"), (143, "setregid"), (144, "setgid"),
    (145, "setreuid"), (146, "setuid"), (147, "setresuid"), (149, "setresgid"), (161, "sethostname"),
    (162, "setdomainname"), (167, "prctl"), (170, "settimeofday"), (171, "adjtimex"), (198, "socket"), (200, "bind"),
    (201, "listen"), (202, "accept"), (203, "connect"), (206, "sendto"), (207, "recvfrom"), (211, "sendmsg"),
    (212, "recvmsg"), (220, "clone"), (221, "execve"), (222, "mmap"), (224, "swapon"), (225, "swapoff"),
    (226, "mprotect"), (242, "accept4"), (243, "recvmmsg"), (265, "open_by_handle_at"), (266, "clock_adjtime"),
    (268, "setns"), (269, "sendmmsg"), (270, "process_vm_readv"), (271, "process_vm_writev"), (273, "finit_module"),
    (276, "renameat2"), (277, "seccomp"), (279, "memfd_create"), (280, "bpf"), (281, "execveat"),
    (282, "userfaultfd"), (294, "kexec_file_load"), (425, "io_uring_setup"), (435, "clone3"), (437, "openat2"),
    (452, "fchmodat2"),
];

/// By number.
#[rustfmt::skip]
const I386: &[(u16, &str)] = &[
    (2, "fork"), (5, "open"), (8, "creat"), (9, "link"), (10, "unlink"), (11, "execve"), (12, "chdir"),
    (14, "mknod"), (15, "chmod"), (16, "lchown"), (21, "mount"), (26, "ptrace"), (37, "kill"), (38, "rename"),
    (39, "mkdir"), (40, "rmdir"), (52, "umount2"), (61, "chroot"), (83, "symlink"), (102, "socketcall"),
    (120, "clone"), (128, "init_module"), (129, "delete_module"), (190, "vfork"), (197, "fstat64"), (212, "chown"),
    (295, "openat"), (301, "unlinkat"), (302, "renameat"), (306, "fchmodat"), (350, "finit_module"),
    (358, "execveat"), (359, "socket"), (361, "bind"), (362, "connect"), (363, "listen"), (364, "accept4"),
    (369, "sendto"), (371, "recvfrom"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_names_and_tables_are_in_order() {
        assert_eq!(name("c000003e", "59"), Some("execve"));
        assert_eq!(name("c00000b7", "221"), Some("execve"));
        assert_eq!(name("40000003", "11"), Some("execve"));
        assert_eq!(name("c000003e", "9999"), None);
        assert_eq!(name("ffffffff", "59"), None);
        for table in [X86_64, AARCH64, I386] {
            assert!(table.windows(2).all(|pair| pair[0].0 < pair[1].0));
        }
    }
}

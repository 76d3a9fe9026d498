use super::*;

fn options() -> MountOptions {
    MountOptions {
        source: "mountpoint-s3".into(),
        subtype: "mountpoint-s3".into(),
        read_only: false,
        access: Access::Owner,
        uid: 1000,
        gid: 100,
        default_permissions: false,
    }
}

#[test]
fn the_kernel_is_told_what_was_asked() {
    let plain = kernel_options(5, 0o40755, &options());
    assert_eq!(plain, "fd=5,rootmode=40755,user_id=1000,group_id=100");
    let open = MountOptions { access: Access::Everyone, default_permissions: true, ..options() };
    let all = kernel_options(5, 0o40755, &open);
    assert_eq!(all, format!("{plain},default_permissions,allow_other"));
}

#[test]
fn a_mount_point_that_is_none_is_refused_before_the_kernel_sees_it() {
    let file = tempfile::NamedTempFile::new().unwrap();
    assert!(matches!(mount(file.path(), &options()), Err(MountError::MountPoint(_))));
    let missing = file.path().join("x");
    assert!(matches!(mount(&missing, &options()), Err(MountError::MountPoint(_))));
}

#[test]
fn unmounting_what_is_not_mounted_says_so() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(unmount(dir.path()).unwrap_err().raw_os_error(), Some(libc::EINVAL));
    assert_eq!(detach(dir.path()).unwrap_err().raw_os_error(), Some(libc::EINVAL));
}

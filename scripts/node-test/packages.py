"""The packages: what is in them, installing, running by systemd, removing."""

import hashlib
import re
from pathlib import Path

from machine import Failure, run, until
from store import CONTENT, Store, give

BINARY = "/opt/aws/mountpoint-s3/bin/mount-s3"
FILES = {
    BINARY,
    "/usr/sbin/mount.mount-s3",
    "/usr/lib/systemd/system/mount-s3@.service",
    "/usr/share/doc/mount-s3/example.env",
    "/usr/share/doc/mount-s3/README.md",
}
# Amazon Linux 2023 has glibc 2.34, and Ubuntu 22.04 a newer one.
GLIBC_MAX = (2, 34)
ENV_FILE = """BUCKET=my-spark-jars
DIRECTORY=/mnt/s3
ARGS=--read-only --allow-other --metadata-ttl indefinite --cache /var/cache/mount-s3 --max-cache-size 1GiB
"""
MOUNTED = "findmnt --mountpoint /mnt/s3 --types fuse.mountpoint-s3"
READ = "timeout 10 sha256sum </mnt/s3/jars/example.jar"


def expect(condition, what):
    if not condition:
        raise Failure(what)


def digest():
    return hashlib.sha256(CONTENT).hexdigest()


def reads(machine):
    """The object is read, byte for byte."""
    expect(machine.ok(READ).split()[0] == digest(), "the bytes read are not those put")


def nothing_mounted(machine):
    mounts = machine("findmnt --types fuse.mountpoint-s3").stdout
    expect(not mounts, f"still mounted: {mounts}")
    until(
        "no process of a mount is left",
        lambda: machine("pidof mount-s3 mount-s3-keeper; grep -l mount-s3 /proc/*/comm").returncode,
    )


def what_they_link_is_on_amazon_linux_2023(tests):
    needed = run(["objdump", "-T", tests.binary]).stdout
    versions = {
        tuple(map(int, found.split("."))) for found in re.findall(r"GLIBC_([0-9.]+)", needed)
    }
    expect(versions, "objdump does not know what the binary links")
    expect(max(versions) <= GLIBC_MAX, f"the binary needs glibc {max(versions)}")


def the_deb_has_the_files_and_says_what_it_needs(tests):
    listed = run(["dpkg-deb", "--contents", tests.deb]).stdout
    paths = {line.split()[5].lstrip(".") for line in listed.splitlines() if line.startswith("-")}
    expect(FILES <= paths, f"not in the package: {FILES - paths}")
    expect(
        f"./usr/bin/mount-s3 -> {BINARY}" in listed, "the link on the PATH is not in the package"
    )
    fields = run(["dpkg-deb", "--field", tests.deb]).stdout
    expect(re.search(r"^Package: mount-s3$", fields, re.M), "it has another name")
    expect(
        re.search(r"^Depends:.*libc6 \(>= 2\.34\)", fields, re.M), f"no libc6 in Depends: {fields}"
    )
    expect(
        re.search(r"^Recommends:.*fuse3.*ca-certificates", fields, re.M), "Recommends are missing"
    )


def the_rpm_has_the_files_and_says_what_it_needs(tests):
    paths = set(run(["rpm", "-qlp", tests.rpm]).stdout.split())
    expect(FILES <= paths, f"not in the package: {FILES - paths}")
    requires = set(re.findall(r"^(\S+)", run(["rpm", "-qp", "--requires", tests.rpm]).stdout, re.M))
    known = re.compile(
        r"/bin/sh|lib(c|m|gcc_s)\.so\.\d.*|ld-linux-x86-64\.so\.2.*|rtld\(.*|rpmlib\(.*"
    )
    unknown = {name for name in requires if not known.fullmatch(name)}
    expect("/bin/sh" in requires and not unknown, f"requires something else too: {unknown}")
    versions = {
        tuple(map(int, found.split(".")))
        for name in requires
        for found in re.findall(r"GLIBC_([0-9.]+)", name)
    }
    expect(versions and max(versions) <= GLIBC_MAX, f"requires of glibc: {versions}")
    provides = run(["rpm", "-qp", "--provides", tests.rpm]).stdout
    expect("/usr/bin/mount-s3" in provides, "nobody finds the package by its command")
    recommends = run(["rpm", "-qp", "--recommends", tests.rpm]).stdout.split()
    expect({"fuse3", "ca-certificates"} <= set(recommends), f"recommends {recommends}")
    scripts = run(["rpm", "-qp", "--scripts", tests.rpm]).stdout
    expect(
        "postinstall" in scripts and "preuninstall" in scripts and "postuninstall" in scripts,
        scripts,
    )


def the_unit_is_understood_by_systemd(tests):
    with tests.machine() as machine:
        tests.install(machine)
        machine.start()
        said = machine.ok(
            "systemd-analyze verify --recursive-errors=no --man=no mount-s3@s3.service"
        )
        expect("mount-s3" not in said, said)
        machine.ok("systemctl show mount-s3@s3 --property OOMPolicy | grep -x OOMPolicy=continue")


def a_deb_comes_and_goes_without_a_trace(tests):
    with tests.machine() as machine:
        tests.install(machine)
        expect(machine.ok("mount-s3 --version").startswith("mount-s3 "), "no version")
        expect(machine.ok(f"{BINARY} --version").startswith("mount-s3 "), "no version")
        expect(machine.ok("dpkg --verify mount-s3") == "", "dpkg finds its own files changed")
        expect("usr/bin/mount-s3" in machine.changes(), "changes are not seen")
        machine.ok("dpkg --remove mount-s3 && dpkg --purge mount-s3")
        # Empty, and no package's of a minimal Debian: dpkg removes it with the last package in it.
        left = machine.changes() - {"opt"}
        expect(not left, f"left behind: {sorted(left)}")


def an_rpm_comes_and_goes_without_a_trace(tests):
    with tests.machine() as machine:
        (machine.root / "root/mount-s3.rpm").write_bytes(Path(tests.rpm).read_bytes())
        # This Debian has no package of rpm that could be what ours requires; that is looked at above.
        machine.ok("rpm --nodeps --install /root/mount-s3.rpm")
        expect(machine.ok("mount-s3 --version").startswith("mount-s3 "), "no version")
        machine.ok("rpm --nodeps --upgrade --replacepkgs /root/mount-s3.rpm && mount-s3 --version")
        expect(
            machine.ok("rpm --verify --nodeps mount-s3") == "", "rpm finds its own files changed"
        )
        machine.ok("rpm --erase mount-s3 && rm /root/mount-s3.rpm")
        # cargo-generate-rpm packs no directories, so that nobody removes them.
        directories = {"opt/aws", "opt/aws/mountpoint-s3", "opt/aws/mountpoint-s3/bin"}
        left = machine.changes() - directories - {"usr/share/doc/mount-s3"}
        expect(not left, f"left behind: {sorted(left)}")


def install_with_a_mount(tests, machine, store):
    """The package, the store's keys, and the settings of the mount `s3`."""
    tests.install(machine)
    give(machine, store)
    (machine.root / "etc/mount-s3").mkdir()
    (machine.root / "etc/mount-s3/s3.env").write_text(ENV_FILE)


def systemd_mounts_unmounts_and_heals(tests):
    with tests.machine() as machine, Store(tests.binary) as store:
        install_with_a_mount(tests, machine, store)
        machine.start()
        # It returns when the mount serves: no waiting here.
        machine.ok("systemctl start mount-s3@s3")
        machine.ok(MOUNTED)
        reads(machine)
        cache_is_private(machine)
        main = machine.ok("systemctl show --value --property MainPID mount-s3@s3").strip()
        expect(
            machine.ok(f"cat /proc/{main}/comm").strip() == "mount-s3-keeper",
            "systemd watches another process",
        )
        expect(
            "is served at /mnt/s3" in machine.ok("journalctl --unit mount-s3@s3"),
            "nothing in the journal",
        )
        for victim in ("mount-s3", "mount-s3-keeper"):
            heals_after_the_death_of(machine, victim)
        machine.ok("systemctl stop mount-s3@s3")
        nothing_mounted(machine)
        expect(
            "inactive" in machine.fails("systemctl is-active mount-s3@s3"), "stopping is no failure"
        )
        a_file_that_is_open_is_no_obstacle(machine)


def cache_is_private(machine):
    mode = machine.ok("stat -c %a:%U /var/cache/mount-s3").strip()
    expect(mode == "700:root", f"the cache has {mode}")


def heals_after_the_death_of(machine, victim):
    main = "systemctl show --value --property MainPID mount-s3@s3"
    before = machine.ok(main)
    machine.ok(f'kill -KILL "$(grep -lx {victim} /proc/[0-9]*/comm | cut -d/ -f3)"')
    # Not even until the next start does a dead mount stay.
    until(f"nothing is mounted after {victim} died", lambda: not machine(MOUNTED).stdout, 4)
    until(f"{victim} died and was noticed", lambda: machine.ok(main) != before)
    until(f"the mount is back after {victim} died", lambda: machine(READ).returncode == 0, 30)
    reads(machine)
    count = machine.ok("findmnt --noheadings --types fuse.mountpoint-s3 | wc -l").strip()
    expect(count == "1", f"{count} mounts after {victim} died")


def a_file_that_is_open_is_no_obstacle(machine):
    machine.ok("systemctl start mount-s3@s3")
    machine.ok("sleep 60 </mnt/s3/jars/example.jar >/dev/null 2>&1 &")
    readers = "ls -l /proc/[0-9]*/fd/0 2>/dev/null | grep /mnt/s3/jars/example.jar"
    until("the file is open", lambda: machine(readers).returncode == 0)
    machine.ok("systemctl stop mount-s3@s3")
    nothing_mounted(machine)


def a_mount_is_back_after_a_reboot_and_a_power_cut(tests):
    with tests.machine() as machine, Store(tests.binary) as store:
        install_with_a_mount(tests, machine, store)
        machine.start()
        machine.ok("systemctl enable --now mount-s3@s3")
        reads(machine)
        for end in (machine.shut_down, machine.power_off):
            end()
            store.control("POST", "/reset")
            machine.start()
            machine.ok(MOUNTED)
            reads(machine)
            gets = [request for request in store.log() if request["operation"] == "GetObject"]
            expect(not gets, f"the cache was not used after the {end.__name__}: {gets}")
        machine.ok("DEBIAN_FRONTEND=noninteractive dpkg --purge mount-s3")
        nothing_mounted(machine)
        expect(not (machine.root / "usr/bin/mount-s3").is_symlink(), "the link is left")
        expect(not (machine.root / "var/cache/mount-s3").exists(), "the cache is left")
        expect(
            not list(machine.root.glob("etc/systemd/system/*/mount-s3@*")),
            "the enabled mount is left",
        )


def a_mount_that_cannot_be_says_why_and_touches_no_other(tests):
    with tests.machine() as machine, Store(tests.binary) as store:
        install_with_a_mount(tests, machine, store)
        wrong = ENV_FILE.replace("my-spark-jars", "no-such-bucket")
        (machine.root / "etc/mount-s3/wrong.env").write_text(wrong.replace("/mnt/s3", "/mnt/wrong"))
        (machine.root / "etc/mount-s3/second.env").write_text(wrong)
        machine.start()
        machine.ok("systemctl start mount-s3@s3")
        for name in ("wrong", "second"):
            machine.fails(f"systemctl start mount-s3@{name}")
            said = machine.ok(f"journalctl --unit mount-s3@{name}")
            expect("cannot be mounted" in said and "fix:" in said, said)
            machine.ok(f"systemctl stop mount-s3@{name}")
        reads(machine)
        machine.fails("findmnt /mnt/wrong")
        said = machine("systemctl start mount-s3@nobody")
        expect(
            machine("systemctl is-active mount-s3@nobody").stdout.strip() == "inactive", said.stdout
        )


def fstab_and_mount_8_work(tests):
    with tests.machine() as machine, Store(tests.binary) as store:
        tests.install(machine)
        exports = "".join(f"export {name}={value}; " for name, value in store.environment().items())
        (machine.root / "etc/fstab").write_text((tests.root / "deploy/node/fstab").read_text())
        # Instead of the instance's role, which boot has on AWS.
        words = " ".join(f"{name}={value}" for name, value in store.environment().items())
        (machine.root / "etc/systemd/system.conf.d").mkdir()
        (machine.root / "etc/systemd/system.conf.d/store.conf").write_text(
            f"[Manager]\nDefaultEnvironment={words}\n"
        )
        machine.start()
        machine.ok(MOUNTED)
        reads(machine)
        machine.ok("umount /mnt/s3")
        nothing_mounted(machine)
        machine.ok(f"{exports} mount /mnt/s3")
        reads(machine)
        expect(
            " ro," in machine.ok("findmnt --noheadings /mnt/s3").replace("\t", " "),
            "ro means nothing",
        )
        machine.ok("umount /mnt/s3")
        nothing_mounted(machine)
        said = machine.fails(
            f"{exports} mount -t mount-s3 -o ro,no-such-flag my-spark-jars /mnt/s3"
        )
        expect("no-such-flag" in said, said)
        said = machine.fails(f"{exports} mount -t mount-s3 -o remount my-spark-jars /mnt/s3")
        expect("unmount and mount again" in said, said)


CASES = [
    what_they_link_is_on_amazon_linux_2023,
    the_deb_has_the_files_and_says_what_it_needs,
    the_rpm_has_the_files_and_says_what_it_needs,
    a_deb_comes_and_goes_without_a_trace,
    an_rpm_comes_and_goes_without_a_trace,
    the_unit_is_understood_by_systemd,
    systemd_mounts_unmounts_and_heals,
    a_mount_is_back_after_a_reboot_and_a_power_cut,
    a_mount_that_cannot_be_says_why_and_touches_no_other,
    fstab_and_mount_8_work,
]

"""The images of the cluster: what a pod needs to exist, Spark, and mount-s3."""

import hashlib
import os
import shutil
import tarfile
import tempfile
import time
from pathlib import Path

from . import archive, facts
from .shell import Failure, output, run

BUSYBOX = "localhost/busybox:1"
PAUSE = "localhost/pause:1"
SPARK = f"localhost/spark:{facts.SPARK}"
# What manifests call the images: they are applied as they stand.
GUIDE_SPARK = "public.ecr.aws/data-on-eks/spark:3.5.3-scala2.12-java17-python3-ubuntu"
REGISTRY = "registry.example.com"
SPARK_USER = 185
IMAGE_SCRIPT = facts.REPOSITORY / "scripts/image"
DEBIAN = "bookworm"
# What Spark, PySpark and the operator want of a system.
DEBIAN_PACKAGES = "ca-certificates,openjdk-17-jre-headless,procps,python3"
# Parts of the source distribution, and where Spark's own images have them.
SPARK_PARTS = {"bin": "bin", "sbin": "sbin", "jars": "jars", "data": "data",
               "examples": "examples/src/main/python"}


def mount_s3_name():
    """The image of mount-s3 with a shell beside it."""
    return f"{REGISTRY}/mount-s3:{facts.version()}-shell"


def prepare(say):
    """Makes the archives that are not there or not of the present sources; name to archive."""
    facts.IMAGES.mkdir(parents=True, exist_ok=True)
    return {"busybox": busybox(), "spark": spark(say), "mount-s3": mount_s3(), "image": image()}


def busybox():
    """A shell, and the process that holds a pod's namespaces, in one static program."""
    path = facts.IMAGES / "busybox.tar"
    program = Path("/bin/busybox")
    if current(path, program.read_bytes()):
        return path
    with rootfs() as root:
        add_busybox(root)
        (root / "etc").mkdir()
        (root / "etc/passwd").write_text("root:x:0:0:root:/:/bin/sh\n")
        (root / "tmp").mkdir()
        (root / "tmp").chmod(0o1777)
        seal(path, root, [BUSYBOX, PAUSE], {
            "Env": ["PATH=/bin"], "Cmd": ["sleep", "2147483647"]})
    stamp(path, program.read_bytes())
    return path


def mount_s3():
    """The image that `make image-shell` makes: a shell for scripts that copy files out of it."""
    path = facts.IMAGES / "mount-s3-shell.tar"
    state = state_of_binary()
    if not current(path, state):
        run([IMAGE_SCRIPT, "--shell", "/bin/busybox", facts.mount_s3(), path], seconds=120,
            env={**os.environ, "IMAGE_REGISTRY": REGISTRY})
        stamp(path, state)
    return path


def image():
    """The image that `make image` makes: nothing but the binary and what it links."""
    path = facts.IMAGES / "mount-s3.tar"
    state = state_of_binary()
    if not current(path, state):
        run([IMAGE_SCRIPT, facts.mount_s3(), path], seconds=120)
        stamp(path, state)
    return path


def state_of_binary():
    """What tells the binary under test, and how images are made of it, from earlier ones."""
    binary = facts.mount_s3()
    if not binary.exists():
        raise Failure(f"{binary} is missing; build it (make build) or name another in MOUNT_S3")
    found = binary.stat()
    return (f"{binary} {found.st_size} {found.st_mtime_ns} {facts.version()}".encode()
            + IMAGE_SCRIPT.read_bytes())


def add_busybox(root):
    (root / "bin").mkdir()
    shutil.copy("/bin/busybox", root / "bin/busybox")
    for applet in output(["/bin/busybox", "--list"]).split():
        if applet != "busybox":
            (root / "bin" / applet).symlink_to("busybox")


def spark(say):
    """Debian with Java and Python, Spark from PyPI, and the operator, whose image this is too."""
    path = facts.IMAGES / "spark.tar"
    entrypoint = Path(__file__).with_name("spark-entrypoint")
    operator = facts.BINARIES / "operator"
    state = (f"{facts.SPARK} {DEBIAN} {DEBIAN_PACKAGES} {SPARK_PARTS} "
             f"{archive.digest_of(operator)}").encode() + entrypoint.read_bytes()
    if current(path, state):
        return path
    say("making the Spark image: a minute or two, once")
    begun = time.monotonic()
    tools = facts.TARGET / "tools/spark"
    run([facts.REPOSITORY / "scripts/spark-jars", tools], seconds=900)
    with rootfs() as root:
        run(["debootstrap", "--variant=minbase", f"--include={DEBIAN_PACKAGES}", DEBIAN, root],
            seconds=900)
        for part in ("var/cache/apt", "var/lib/apt/lists", "usr/share/doc", "usr/share/locale",
                     "usr/share/man"):
            shutil.rmtree(root / part, ignore_errors=True)
        add_spark(root, tools / f"pyspark-{facts.SPARK}.tar.gz")
        shutil.copy(operator, root / "usr/bin/spark-operator")
        shutil.copy(entrypoint, root / "opt/entrypoint")
        (root / "opt/entrypoint").chmod(0o755)
        seal(path, root, [SPARK, GUIDE_SPARK], {
            "User": str(SPARK_USER), "WorkingDir": "/opt/spark/work-dir",
            "Entrypoint": ["/opt/entrypoint"],
            "Env": ["PATH=/usr/local/bin:/usr/bin:/bin", "SPARK_HOME=/opt/spark"]})
    stamp(path, state)
    say(f"made the Spark image in {time.monotonic() - begun:.0f} s")
    return path


def add_spark(root, sdist):
    """Lays Spark out as its own images do, from what PySpark's source distribution carries."""
    home = root / "opt/spark"
    home.mkdir(parents=True)
    prefix = f"pyspark-{facts.SPARK}"
    with tarfile.open(sdist) as tar:
        tar.extractall(root / "tmp", filter="fully_trusted")
    source = root / "tmp" / prefix
    for part, place in SPARK_PARTS.items():
        (home / place).parent.mkdir(parents=True, exist_ok=True)
        shutil.move(source / "deps" / part, home / place)
    (home / "python/lib").mkdir(parents=True)
    shutil.move(source / "pyspark", home / "python/pyspark")
    for library in (source / "lib").glob("*.zip"):
        shutil.move(library, home / "python/lib")
    shutil.rmtree(source)
    for program in (*(home / "bin").iterdir(), *(home / "sbin").iterdir()):
        program.chmod(0o755)
    with open(root / "etc/passwd", "a") as users:
        users.write(f"spark:x:{SPARK_USER}:0:spark:/opt/spark:/bin/bash\n")
    for directory in ("opt/spark/work-dir", "etc/k8s-webhook-server/serving-certs"):
        (root / directory).mkdir(parents=True)
        os.chown(root / directory, SPARK_USER, 0)


def rootfs():
    """A directory for an image's files, on the disk of the cache and gone at the end."""
    return Rootfs(dir=facts.IMAGES)


class Rootfs(tempfile.TemporaryDirectory):
    """A temporary directory that is given as a path."""

    def __enter__(self):
        return Path(super().__enter__())


def seal(path, root, names, settings):
    """Writes the archive of the files under `root`."""
    layer = path.with_suffix(".layer")
    root.chmod(0o755)
    run(["tar", "--sort=name", "--numeric-owner", "--exclude=./dev/*", "--exclude=./proc/*",
         "--exclude=./sys/*", "-C", root, "-cf", layer, "."], seconds=300)
    try:
        archive.write(path, layer, names, settings)
    finally:
        layer.unlink()


def current(path, state):
    mark = path.with_suffix(".stamp")
    return path.exists() and mark.exists() and mark.read_text() == fingerprint(state)


def stamp(path, state):
    path.with_suffix(".stamp").write_text(fingerprint(state))


def fingerprint(state):
    """Of what an image is made from, and of how: the code here."""
    digest = hashlib.sha256(state)
    for source in (Path(__file__), Path(archive.__file__)):
        digest.update(source.read_bytes())
    return digest.hexdigest()

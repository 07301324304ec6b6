"""The machine: two cores to work on, a certificate for the loopback interface, and who we are."""

from __future__ import annotations

import datetime as dt
import importlib.metadata
import ipaddress
import os
import platform
import time
from pathlib import Path

PACKAGES = (
    "trioflex",
    "trio",
    "msgspec",
    "wsproto",
    "trio-websocket",
    "websockets",
    "aiohttp",
    "picows",
    "uvloop",
    "orjson",
)


def cores() -> tuple[int, int] | tuple[None, None]:
    """Return the cores for the server and for the clients, nothing if there are no two."""
    if not hasattr(os, "sched_getaffinity"):
        return None, None
    free = sorted(os.sched_getaffinity(0))
    return (free[0], free[1]) if len(free) > 1 else (None, None)


def pin(core: int | None) -> None:
    """Stay on one core; ``None``: wherever the system likes."""
    if core is not None:
        os.sched_setaffinity(0, {core})


def resident() -> int:
    """Return the bytes of memory this process holds."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGESIZE")


CROWDED = 0.05
"""Share of the machine that others may use before figures are said to be worth less."""


def busy(seconds: float) -> float | None:
    """Return the share of all cores that others use while we do nothing, if the system tells."""

    def jiffies() -> tuple[int, int]:
        line = Path("/proc/stat").read_text(encoding="ascii").split("\n", 1)[0]
        spent = [int(n) for n in line.split()[1:9]]
        return sum(spent), spent[3] + spent[4]  # idle and waiting for disks

    try:
        all_before, idle_before = jiffies()
        time.sleep(seconds)
        all_after, idle_after = jiffies()
    except OSError:
        return None
    return 1 - (idle_after - idle_before) / max(1, all_after - all_before)


def describe() -> dict[str, str]:
    """Return what a reader of the figures must know of machine and software."""
    processor = platform.processor() or platform.machine()
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="ascii").splitlines():
            if line.startswith("model name"):
                processor = line.partition(":")[2].strip()
                break
    except OSError:
        pass
    versions = {"python": f"{platform.python_implementation()} {platform.python_version()}"}
    for package in PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            versions[package] = "missing"
    return {
        "when": dt.datetime.now(dt.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "machine": f"{processor}, {os.cpu_count()} cores, {platform.system()} {platform.release()}",
        **versions,
    }


def certificate(folder: Path) -> Path:
    """Write a self-signed certificate for 127.0.0.1 and its key into one PEM file; return it."""
    # Imported here: only the parent needs it, and the clients' memory is measured.
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "trioflex benchmark")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]),
            critical=False,
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = folder / "server.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + made.public_bytes(serialization.Encoding.PEM)
    )
    path.chmod(0o600)
    return path

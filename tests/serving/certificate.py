"""A certificate that nobody but its maker believes."""

import subprocess
from pathlib import Path


def made_out_to(host: str, folder: Path) -> Path:
    """With its key, in one file."""
    path = folder / "certificate.pem"
    of = ["-subj", f"/CN={host}", "-addext", f"subjectAltName=IP:{host}"]
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *of]
    to = ["-keyout", str(path), "-out", str(folder / "own.pem")]
    subprocess.run([*made, *to], check=True, capture_output=True)
    path.write_bytes(path.read_bytes() + (folder / "own.pem").read_bytes())
    return path

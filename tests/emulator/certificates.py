"""A certificate authority and a certificate for 127.0.0.1 and localhost, valid for a day."""
import datetime
import ipaddress

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID


def make(directory):
    """Writes ca.pem, server.pem and server.key into the directory; their paths."""
    directory.mkdir(parents=True, exist_ok=True)
    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    ca_name, name = named("emulator CA"), named("localhost")
    ca = unsigned(ca_name, ca_name, ca_key).add_extension(x509.BasicConstraints(True, 0), critical=True)
    hosts = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    server = unsigned(name, ca_name, key).add_extension(x509.SubjectAlternativeName(hosts), critical=False)
    server = server.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return [
        written(directory / "ca.pem", pem(ca.sign(ca_key, hashes.SHA256()))),
        written(directory / "server.pem", pem(server.sign(ca_key, hashes.SHA256()))),
        written(directory / "server.key", private),
    ]


def named(name):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def unsigned(subject, issuer, key):
    now = datetime.datetime.now(datetime.timezone.utc)
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key.public_key())
    builder = builder.serial_number(x509.random_serial_number())
    return builder.not_valid_before(now - datetime.timedelta(hours=1)).not_valid_after(now + datetime.timedelta(days=1))


def pem(certificate):
    return certificate.public_bytes(serialization.Encoding.PEM)


def written(path, data):
    path.write_bytes(data)
    return path

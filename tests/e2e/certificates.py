"""Certificates for a test, made by openssl into a folder: authorities, and what they sign."""
import os
import subprocess


def openssl(*words):
    subprocess.run(["openssl", *words], check=True, capture_output=True)


class Certificates:
    def __init__(self, folder):
        self.folder = folder

    def file(self, name):
        return os.path.join(self.folder, name)

    def authority(self, name):
        openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={name}", "-keyout", self.file(f"{name}.key"),
                "-out", self.file(f"{name}.pem"))

    def certificate(self, name, subject, authority="ours"):
        """subject: as in `DNS:localhost,IP:127.0.0.1`."""
        with open(self.file("extensions"), "w", encoding="utf-8") as extensions:
            extensions.write(f"subjectAltName={subject}\n")
        openssl("req", "-new", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}", "-keyout", self.file(f"{name}.key"), "-out",
                self.file("request"))
        openssl("x509", "-req", "-in", self.file("request"), "-CA", self.file(f"{authority}.pem"), "-CAkey", self.file(f"{authority}.key"),
                "-CAcreateserial", "-days", "2", "-extfile", self.file("extensions"), "-out", self.file(f"{name}.pem"))

"""The gateway of examples/: what docs/clients.md has people type gets JSON, and refusals stay what they are."""

import json
import os
import re
import subprocess
import unittest

from support import PATIENCE, ROOT, Server, node


class Gateway(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        cls.server = Server("--trusted-proxies", "127.0.0.0/8")
        cls.addClassCleanup(cls.server.stop)
        cls.gateway = cls.server.run(node("gateway"), "", "--listen", "127.0.0.1:0")
        cls.addClassCleanup(cls.gateway.kill)
        cls.gateway.says("http://127.0.0.1:")
        cls.address = cls.gateway.said().strip()
        cls.token = cls.server.token("AGENT", cls.server.connection)

    def typed(self, token: str, method: str, body: dict | None = None) -> dict:
        """The command of the page, with another method and body if need be."""
        page = (ROOT / "docs" / "clients.md").read_text()
        command = re.search(r"<!-- curl -->\n```sh\n(.*?)```", page, re.DOTALL).group(1)
        command = command.replace("http://127.0.0.1:8080", self.address).replace("CreateTransfer", method)
        if body is not None:
            command = re.sub(r"--json '.*?'", f"--json '{json.dumps(body)}'", command)
        env = os.environ | {"TOKEN": token}
        ended = subprocess.run(
            ["bash", "-c", command], env=env, check=True, capture_output=True, text=True, timeout=PATIENCE
        )
        return json.loads(ended.stdout)

    def test_curl_declares_a_transfer_and_reads_it(self) -> None:
        created = self.typed(self.token, "CreateTransfer")["transfer"]
        self.assertEqual(created["status"], "TRANSFER_STATUS_PENDING")
        self.assertEqual(created["metadata"], {"ticket": "OPS-1"})
        self.assertEqual(created["connectionUuid"], self.server.connection)
        self.assertEqual(created["progress"]["recordsTransferred"], "0")
        found = self.typed(self.token, "GetTransfer", {"uuid": created["uuid"]})["transfer"]
        self.assertEqual(found, created)

    def test_a_refusal_has_its_code_and_its_details(self) -> None:
        for token, body, code in (("", {}, "unauthenticated"), (self.token, {"tableName": ""}, "invalid_argument")):
            refused = self.typed(token, "CreateTransfer", body)
            self.assertEqual(refused["code"], code)
            self.assertEqual(refused["details"][0]["type"], "google.rpc.ErrorInfo")

    def test_the_server_itself_says_what_it_speaks(self) -> None:
        url = f"https://localhost:{self.server.port}/tidegate.v1.TransferService/ListTransfers"
        curl = ["curl", "--silent", "--cacert", str(self.server.folder / "ca.pem"), "--json", "{}", url]
        ended = subprocess.run([*curl, "--write-out", "%{http_code}"], check=True, capture_output=True, text=True)
        self.assertTrue(ended.stdout.startswith("This is Tidegate's port for gRPC"), ended.stdout)
        self.assertTrue(ended.stdout.endswith("415"), ended.stdout)

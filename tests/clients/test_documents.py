"""The service config and docs/clients.md agree with the contract and the programs."""

import json
import re
import unittest
from pathlib import Path

from support import ROOT
from tidegate.v1 import (
    bulk_service_pb2,
    connection_service_pb2,
    credential_service_pb2,
    event_service_pb2,
    transfer_service_pb2,
)

SERVICES = (
    bulk_service_pb2,
    connection_service_pb2,
    credential_service_pb2,
    event_service_pb2,
    transfer_service_pb2,
)


class ServiceConfig(unittest.TestCase):
    def setUp(self) -> None:
        config = json.loads((ROOT / "proto" / "service_config.json").read_text())
        self.by_name = {}
        for method in config["methodConfig"]:
            for name in method["name"]:
                self.by_name[name["service"], name.get("method")] = method

    def test_every_service_is_named_and_nothing_else(self) -> None:
        services = [service for it in SERVICES for service in it.DESCRIPTOR.services_by_name.values()]
        contract = {service.full_name: service for service in services}
        self.assertEqual({service for service, method in self.by_name if not method}, set(contract))
        for service, method in self.by_name:
            self.assertTrue(method is None or method in contract[service].methods_by_name, (service, method))

    def test_calls_have_a_deadline_and_streams_have_none(self) -> None:
        for module in SERVICES:
            for service in module.DESCRIPTOR.services_by_name.values():
                for method in service.methods:
                    config = self.by_name.get((service.full_name, method.name)) or self.by_name[service.full_name, None]
                    is_stream = method.client_streaming or method.server_streaming
                    self.assertEqual("timeout" in config, not is_stream, method.full_name)
                    self.assertEqual("retryPolicy" in config, not is_stream, method.full_name)
                    self.assertTrue(config["waitForReady"])

    def test_what_is_tried_again_is_what_the_errors_say(self) -> None:
        """docs/errors.md: a change may be repeated after UNAVAILABLE, and where the answer asks for a pause."""
        for config in self.by_name.values():
            codes = config.get("retryPolicy", {}).get("retryableStatusCodes", [])
            self.assertIn(codes, ([], ["UNAVAILABLE", "RESOURCE_EXHAUSTED"]))


class Documents(unittest.TestCase):
    def test_the_programs_in_the_page_are_those_that_run(self) -> None:
        page = (ROOT / "docs" / "clients.md").read_text()
        quoted = re.findall(r"<!-- from (\S+) -->\n+```\w+\n(.*?)```", page, re.DOTALL)
        self.assertGreaterEqual(len(quoted), 4)
        for path, block in quoted:
            self.assertIn(block, (ROOT / path).read_text(), f"docs/clients.md quotes {path}, which has changed")

    def test_programs_are_short(self) -> None:
        for path in [*Path(ROOT / "examples").rglob("*.py"), *Path(ROOT / "examples").rglob("*.ts")]:
            if not {"gen", "tidegate", "node_modules", ".venv"} & set(path.relative_to(ROOT).parts):
                self.assertLessEqual(len(path.read_text().splitlines()), 150, path)

"""Starts a server with a few things in it, checks its description, and lets Schemathesis loose on it."""

import json
import os
import pathlib
import re
import socket
import subprocess
import sys
import time

import requests
from openapi_spec_validator import validate

# What holds whatever is sent. Whether a call is refused is no matter of the schema alone: values are read from text,
# and what is named must be there.
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
)
HERE = pathlib.Path(__file__).parent


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def wait_for(url, server):
    for _ in range(480):
        try:
            if requests.get(f"{url}/readyz", timeout=2).ok:
                return
        except requests.ConnectionError:
            pass
        if server.poll() is not None:
            break
        time.sleep(0.25)
    sys.exit("the server did not get ready")


def furnish(url, key):
    """Something of every kind, so that calls reach beyond "No such …". Returns the ids by the first word of their path."""

    def post(path, **form):
        answer = requests.post(f"{url}/v1/{path}", auth=(key, ""), data=form, timeout=30)
        answer.raise_for_status()
        return answer.json()

    ids = {}

    def keep(path, **form):
        made = post(path, **form)
        ids.setdefault(path.split("/")[0], []).append(made["id"])
        return made["id"]

    product = keep("products", name="Seat")
    monthly = {"unit_amount": "900", "currency": "usd", "product": product, "recurring[interval]": "month"}
    price = keep("prices", **monthly)
    once = keep("prices", unit_amount="500", currency="usd", product=product)
    keep("webhook_endpoints", url="https://example.com/hook", **{"enabled_events[]": "invoice.paid"})
    for card in ("pm_card_visa", "pm_card_chargeCustomerFail", "pm_card_authenticationRequired"):
        customer = keep("customers", email="ada@example.com")
        method = post(f"payment_methods/{card}/attach", customer=customer)["id"]
        ids.setdefault("payment_methods", []).append(method)
        post(f"customers/{customer}", **{"invoice_settings[default_payment_method]": method})
        keep("subscriptions", customer=customer, payment_behavior="allow_incomplete", **{"items[0][price]": price})
        keep("invoiceitems", customer=customer, **{"pricing[price]": once})
        keep("invoices", customer=customer, pending_invoice_items_behavior="include")
        keep("payment_intents", amount="1000", currency="usd", customer=customer, payment_method=method)
        keep("setup_intents", customer=customer)
    listed = ("charges", "credit_notes", "events", "invoice_payments", "invoices", "payment_intents", "refunds")
    for path in listed:
        data = requests.get(f"{url}/v1/{path}", auth=(key, ""), params={"limit": 20}, timeout=30).json()["data"]
        ids.setdefault(path, []).extend(one["id"] for one in data)
    items = requests.get(
        f"{url}/v1/subscription_items", auth=(key, ""), params={"subscription": ids["subscriptions"][0]}, timeout=30
    )
    ids["subscription_items"] = [one["id"] for one in items.json()["data"]]
    return ids


def statuses(url):
    """How often the server answered with what: how deep the calls went."""
    counts = {}
    for line in requests.get(f"{url}/metrics", timeout=30).text.splitlines():
        found = re.match(r'dunlin_requests_total\{.*status="(\d+)".*\} (\d+)', line)
        if found and 'route="unrecognized"' not in line:
            counts[found[1]] = counts.get(found[1], 0) + int(found[2])
    return ", ".join(f"{count} × {status}" for status, count in sorted(counts.items()))


def main():
    dunlin, folder, seconds = sys.argv[1], pathlib.Path(sys.argv[2]), sys.argv[3]
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    environment = {name: value for name, value in os.environ.items() if name not in ("DATABASE_URL", "DUNLIN_TEST_KEY")}
    log = folder / "server.log"
    with log.open("w") as output:
        server = subprocess.Popen(
            [dunlin, "--data-dir", folder / "data", "--listen", f"127.0.0.1:{port}", "--log", "warn"],
            stdout=output,
            stderr=output,
            env=environment,
        )
    try:
        wait_for(url, server)
        key = re.search(r"secret +(\S+)", log.read_text())[1]
        description = requests.get(f"{url}/openapi.json", timeout=30).json()
        validate(description)
        operations = sum(len(methods) for methods in description["paths"].values())
        print(f"== the description is valid OpenAPI {description['openapi']}: {operations} calls", flush=True)
        (folder / "ids.json").write_text(json.dumps(furnish(url, key)))
        status = subprocess.run(
            [
                pathlib.Path(sys.executable).with_name("schemathesis"),
                "run",
                f"{url}/openapi.json",
                f"--max-time={seconds}",
                f"--checks={','.join(CHECKS)}",
                "--phases=coverage,fuzzing",
                "--workers=2",
                "--continue-on-failure",
                "--warnings=off",
                f"--header=Authorization: Bearer {key}",
            ],
            env={**os.environ, "SCHEMATHESIS_HOOKS": "hooks", "PYTHONPATH": str(HERE), "DUNLIN_IDS": str(folder / "ids.json")},
            cwd=folder,
            check=False,
        ).returncode
        print("== answers by status:", statuses(url), flush=True)
        broken = [line for line in log.read_text().splitlines() if "ERROR" in line or "panicked" in line]
        print(*broken[:50], sep="\n")
        sys.exit(1 if status or broken or server.poll() is not None else 0)
    finally:
        server.terminate()
        server.wait(timeout=60)


main()

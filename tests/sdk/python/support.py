"""What the suite shares: clients as a user would make them, a customer with a card, a webhook sink."""

import itertools
import json
import os
import re
import threading
import time
import unittest
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import stripe

BASE = os.environ.get("DUNLIN_URL", "http://127.0.0.1:8420")


def client(key):
    return stripe.StripeClient(key, base_addresses={"api": BASE})


secret = client(os.environ["DUNLIN_SECRET_KEY"])
publishable = client(os.environ["DUNLIN_PUBLISHABLE_KEY"])
v1 = secret.v1
counter = itertools.count(1)
CARDS = {"automatic_payment_methods": {"enabled": True, "allow_redirects": "never"}}


def unique(word):
    return f"{word}-py{os.getpid()}-{time.time_ns():x}-{next(counter)}"


def priced(amount=2000, **more):
    product = v1.products.create({"name": unique("Plan")})
    price = v1.prices.create(
        {"product": product.id, "currency": "usd", "unit_amount": amount, "recurring": {"interval": "month"}, **more}
    )
    return product, price


def card(customer, token="pm_card_visa"):
    method = v1.payment_methods.attach(token, {"customer": customer.id})
    v1.customers.update(customer.id, {"invoice_settings": {"default_payment_method": method.id}})
    return method


def customer_with(token="pm_card_visa", **more):
    """A customer with a default card (or none, when `token` is None), and the card."""
    customer = v1.customers.create({"email": f"{unique('ada')}@example.com", "name": "Ada", **more})
    return customer, card(customer, token) if token else None


class Subscribed:
    def __init__(self, token="pm_card_visa", **more):
        self.product, self.price = priced()
        self.customer, self.method = customer_with(token)
        self.subscription = v1.subscriptions.create(
            {
                "customer": self.customer.id,
                "items": [{"price": self.price.id}],
                "expand": ["latest_invoice.payments", "latest_invoice.confirmation_secret"],
                **more,
            }
        )
        self.invoice = self.subscription.latest_invoice


def ids(found):
    return [each.id for each in found]


def every(page):
    return list(page.auto_paging_iter())


def member(it, name):
    return getattr(it, name, None)


def plain(value):
    return value.to_dict() if hasattr(value, "to_dict") else dict(value)


class Case(unittest.TestCase):
    maxDiff = None

    def refused(self, kind, call, *args, status=None, code=None, param=None, message=None, **kwargs):
        """The call fails with this class of error and these members; the error is returned."""
        with self.assertRaises(kind) as caught:
            call(*args, **kwargs)
        error = caught.exception
        self.assertIs(type(error), kind)
        if status:
            self.assertEqual(error.http_status, status, error)
        if code:
            self.assertEqual(error.code, code, error)
        if param:
            self.assertEqual(error.param, param, error)
        if message:
            self.assertRegex(error.json_body["error"]["message"], message)
        self.assertTrue(error.request_id.startswith("req_"))
        return error

    def invalid(self, call, *args, **kwargs):
        return self.refused(stripe.InvalidRequestError, call, *args, **kwargs)

    def declined(self, call, *args, decline=None, **kwargs):
        error = self.refused(stripe.CardError, call, *args, status=402, **kwargs)
        if decline:
            self.assertEqual(error.error.decline_code, decline)
        return error

    def missing(self, call, *args, status=404, **kwargs):
        return self.invalid(call, *args, status=status, code="resource_missing", **kwargs)

    def intent_of(self, invoice, **more):
        """The payment intent behind an invoice, by its invoice payments."""
        payments = v1.invoice_payments.list({"invoice": invoice.id}).data
        self.assertEqual(len(payments), 1)
        self.assertEqual(payments[0].payment.type, "payment_intent")
        return v1.payment_intents.retrieve(payments[0].payment.payment_intent, more)

    def until(self, what, question, seconds=30):
        end = time.monotonic() + seconds
        while not (answer := question()):
            self.assertLess(time.monotonic(), end, f"waited {seconds} s for {what}")
            time.sleep(0.1)
        return answer

    def advance(self, clock, to):
        v1.test_helpers.test_clocks.advance(clock.id, {"frozen_time": to})

        def ready():
            current = v1.test_helpers.test_clocks.retrieve(clock.id)
            self.assertNotEqual(current.status, "internal_failure")
            return current.status == "ready" and current.frozen_time == to

        self.until("the clock to be ready", ready, 60)

    def sink(self, events=("*",), answer=lambda event, deliveries: 200):
        return Sink(self, events, answer)


class Sink:
    """A local server and an endpoint that points at it; every body is verified."""

    def __init__(self, case, events, answer):
        self.deliveries = []  # (event, body, headers)
        self.failures = []
        self.secret = None
        lock = threading.Lock()
        sink = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                with lock:
                    status = sink.take(body, self.headers, answer)
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        case.addCleanup(server.server_close)
        case.addCleanup(server.shutdown)
        self.endpoint = v1.webhook_endpoints.create(
            {"url": f"http://127.0.0.1:{server.server_address[1]}/hook", "enabled_events": list(events)}
        )
        case.addCleanup(v1.webhook_endpoints.delete, self.endpoint.id)
        self.secret = self.endpoint.secret

    def take(self, body, headers, answer):
        folder = os.environ.get("DUNLIN_RECORD_DIR")
        if folder:
            with open(Path(folder) / "webhooks.jsonl", "a") as file:
                file.write(json.dumps(json.loads(body)) + "\n")
        try:
            event = secret.construct_event(body, headers["Stripe-Signature"], self.secret)
        except Exception as error:
            self.failures.append(error)
            return 400
        self.deliveries.append((event, body, headers))
        return answer(event, self.deliveries)

    def events(self):
        return [event for event, _, _ in list(self.deliveries)]


def begins(text):
    return "^" + re.escape(text)

import stripe
from support import Case, Subscribed, customer_with, every, member, plain, priced, secret, unique, v1


class Webhooks(Case):
    def test_endpoints(self):
        made = v1.webhook_endpoints.create(
            {"url": "http://127.0.0.1:9/none", "enabled_events": ["customer.created", "invoice.paid"], "description": "Mine"}
        )
        self.assertTrue(made.secret.startswith("whsec_"))
        self.assertNotIn("secret", plain(v1.webhook_endpoints.retrieve(made.id)))
        off = v1.webhook_endpoints.update(made.id, {"disabled": True, "enabled_events": ["*"], "description": ""})
        self.assertEqual((off.status, off.enabled_events, off.description), ("disabled", ["*"], None))
        self.assertIn(made.id, [each.id for each in every(v1.webhook_endpoints.list())])
        self.invalid(v1.webhook_endpoints.create, {"url": "nonsense", "enabled_events": ["*"]}, status=400, param="url")
        self.assertTrue(v1.webhook_endpoints.delete(made.id).deleted)
        self.missing(v1.webhook_endpoints.retrieve, made.id)

    def test_events_that_do_not_exist(self):
        for name in ("no.such", "customer.*"):
            with self.subTest(name):
                self.invalid(v1.webhook_endpoints.create, {"url": "http://127.0.0.1:9/", "enabled_events": [name]}, status=400)

    def test_every_event_of_a_subscription(self):
        hook = self.sink()
        made = Subscribed()

        def mine(event):
            it = event.data.object
            return made.customer.id in (member(it, "customer"), member(it, "id")) or member(it, "invoice") == made.invoice.id

        wanted = {
            "customer.created", "payment_method.attached", "customer.updated", "customer.subscription.created",
            "invoice.created", "invoice.finalized", "payment_intent.created", "charge.succeeded", "payment_intent.succeeded",
            "invoice.updated", "invoice.paid", "invoice.payment_succeeded", "invoice_payment.paid",
        }
        try:
            self.until("all events", lambda: wanted <= {e.type for e in hook.events() if mine(e)}, 20)
        except AssertionError:
            pass
        seen = [e for e in hook.events() if mine(e)]
        self.assertEqual(wanted - {e.type for e in seen}, set())
        self.assertEqual(hook.failures, [])
        self.assertNotIn("customer.subscription.updated", [e.type for e in seen])
        self.assertEqual(len({e.id for e in hook.events()}), len(hook.events()))
        created = next(e for e in seen if e.type == "customer.subscription.created")
        self.assertEqual((created.object, created.data.object.id), ("event", made.subscription.id))
        self.assertTrue(created.request.id.startswith("req_") and created.request.idempotency_key)
        self.assertEqual(created.api_version, stripe.api_version)
        self.assertGreaterEqual(created.pending_webhooks, 1)
        again = v1.events.retrieve(created.id)
        self.assertEqual((again.type, again.data.object.id), (created.type, made.subscription.id))
        self.until("the acknowledgement", lambda: v1.events.retrieve(created.id).pending_webhooks == 0, 20)

    def test_forged_signatures(self):
        hook = self.sink(["product.created"])
        v1.products.create({"name": unique("Signed")})
        self.until("the event", lambda: hook.deliveries)
        _, body, headers = hook.deliveries[0]
        signature = headers["Stripe-Signature"]
        for payload, key in [(body, "whsec_wrong"), (body + b" ", hook.secret)]:
            with self.assertRaises(stripe.SignatureVerificationError):
                secret.construct_event(payload, signature, key)

    def test_previous_attributes(self):
        hook = self.sink(["customer.updated", "customer.subscription.updated", "customer.subscription.deleted"])
        made = Subscribed()
        v1.subscriptions.update(made.subscription.id, {"cancel_at_period_end": True})
        v1.subscriptions.update(made.subscription.id, {"cancel_at_period_end": True})
        v1.subscriptions.cancel(made.subscription.id)
        v1.customers.update(made.customer.id, {"name": "Grace"})

        def of(name):
            return [e for e in hook.events() if e.type == name and made.customer.id in (e.data.object.id, member(e.data.object, "customer"))]

        self.until("the end", lambda: of("customer.subscription.deleted"), 20)
        renamed = self.until("the name", lambda: [e for e in of("customer.updated") if "name" in plain(e.data.previous_attributes)], 20)
        self.assertEqual(plain(renamed[0].data.previous_attributes), {"name": "Ada"})
        updates = of("customer.subscription.updated")
        self.assertEqual(len(updates), 1, "a no-op update is no event")
        before = plain(updates[0].data.previous_attributes)
        self.assertEqual((before["cancel_at_period_end"], before["cancel_at"], before["canceled_at"]), (False, None, None))

    def test_filters_of_an_endpoint(self):
        hook = self.sink(["price.created"])
        _, price = priced()
        self.until("the event", lambda: price.id in [e.data.object.id for e in hook.events()])
        self.assertEqual({e.type for e in hook.events()}, {"price.created"})

    def test_a_failing_sink_gets_the_event_again(self):
        email = f"{unique('retry')}@example.com"

        def answer(event, deliveries):
            times = sum(1 for each, _, _ in deliveries if each.id == event.id)
            return 500 if event.data.object.email == email and times == 1 else 200

        hook = self.sink(["customer.created"], answer)
        customer = v1.customers.create({"email": email})

        def mine():
            return [each for each in hook.deliveries if each[0].data.object.id == customer.id]

        self.until("the second delivery", lambda: len(mine()) >= 2, 40)
        (first, _, one), (second, _, two) = mine()
        self.assertEqual(first.id, second.id)
        self.assertNotEqual(one["Stripe-Signature"], two["Stripe-Signature"])
        self.until("the acknowledgement", lambda: v1.events.retrieve(first.id).pending_webhooks == 0, 20)

    def test_event_lists(self):
        customer, _ = customer_with(None)
        v1.customers.update(customer.id, {"name": "Grace"})

        def of(**filters):
            return [e.type for e in every(v1.events.list({"limit": 100, **filters})) if e.data.object.id == customer.id]

        self.assertEqual(of(type="customer.created"), ["customer.created"])
        self.assertEqual(of(type="customer.*"), ["customer.updated", "customer.created"])
        self.assertEqual(of(types=["customer.updated", "invoice.paid"]), ["customer.updated"])
        self.assertEqual(of(created={"gte": customer.created}), ["customer.updated", "customer.created"])
        self.assertEqual(of(created={"lt": customer.created}), [])

    def test_type_and_types_exclude_each_other(self):
        self.invalid(v1.events.list, {"type": "customer.created", "types": ["customer.updated"]}, status=400)

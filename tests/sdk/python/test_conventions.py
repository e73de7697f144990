import time
from concurrent.futures import ThreadPoolExecutor

import stripe
from support import CARDS, Case, Subscribed, begins, client, customer_with, ids, plain, priced, publishable, secret, unique, v1


class Errors(Case):
    def test_unknown_parameters(self):
        error = self.invalid(v1.customers.create, {"foo": "x"}, status=400, code="parameter_unknown", param="foo",
                             message="^Received unknown parameter: foo")
        self.assertRegex(error.error.doc_url, "parameter-unknown$")
        self.invalid(v1.customers.create, {"foo": "x", "bar": "y"}, code="parameter_unknown", message="foo, bar|bar, foo")
        self.invalid(v1.subscriptions.create, {"customer": "cus_x", "items": [{"price": "p", "bogus": 1}]},
                     code="parameter_unknown", param="items[0][bogus]")
        self.invalid(v1.payment_intents.create, {"amount": 500, "currency": "usd", "payment_method_types": ["card"]},
                     status=400, code="payment_method_types_no_longer_supported")

    def test_missing_parameters(self):
        self.invalid(v1.products.create, {}, status=400, code="parameter_missing", param="name", message=r"^Missing required param: name\.$")
        self.invalid(v1.prices.create, {"unit_amount": 1}, code="parameter_missing", param="currency")
        self.invalid(v1.subscriptions.create, {"items": [{"price": "p"}]}, code="parameter_missing", param="customer")
        self.invalid(v1.subscription_items.list, {}, code="parameter_missing", param="subscription")

    def test_wrong_types(self):
        product, _ = priced()
        base = {"product": product.id, "currency": "usd"}
        self.invalid(v1.prices.create, {**base, "unit_amount": "abc"}, status=400, code="parameter_invalid_integer",
                     param="unit_amount", message="^Invalid integer: abc$")
        self.invalid(v1.products.create, {"name": "x", "active": "maybe"}, status=400, param="active", message="^Invalid boolean: maybe$")
        self.invalid(v1.products.create, {"name": {"a": "b"}}, status=400, param="name", message="^Invalid string: ")
        self.invalid(v1.customers.create, {"metadata": "text"}, status=400, param="metadata")
        self.invalid(v1.customers.list, {"limit": "many"}, code="parameter_invalid_integer", param="limit")
        self.invalid(v1.subscriptions.list, {"status": "nope"}, status=400, param="status", message="^Invalid status: must be one of ")
        self.invalid(v1.prices.create, {**base, "unit_amount": 5, "recurring": {"interval": "hour"}}, param="recurring[interval]")
        self.invalid(v1.products.create, {"name": ""}, code="parameter_invalid_empty", param="name")

    def test_unknown_ids(self):
        for service, bad, param, name in [
            (v1.customers, "cus_none", "customer", "customer"), (v1.prices, "price_none", "price", "price"),
            (v1.invoices, "in_none", "invoice", "invoice"), (v1.products, "prod_none", None, "product"),
            (v1.subscriptions, "sub_none", "id", "subscription"), (v1.payment_intents, "pi_none", "intent", "payment_intent"),
            (v1.payment_methods, "pm_none", None, "PaymentMethod"), (v1.charges, "ch_none", None, "charge"),
            (v1.events, "evt_none", None, "event"), (v1.webhook_endpoints, "we_none", None, "webhook endpoint"),
            (v1.test_helpers.test_clocks, "clock_none", None, "test clock"),
        ]:
            with self.subTest(bad):
                self.missing(service.retrieve, bad, param=param, message=begins(f"No such {name}: '{bad}'"))
        _, price = priced()
        self.missing(v1.subscriptions.create, {"customer": "cus_none", "items": [{"price": price.id}]}, status=400, param="customer")
        customer, _ = customer_with()
        self.missing(v1.subscriptions.create, {"customer": customer.id, "items": [{"price": "price_none"}]}, status=400, param="items[0][price]")
        self.missing(v1.customers.list, {"starting_after": "cus_none"}, status=400, param="starting_after")

    def test_keys(self):
        self.refused(stripe.AuthenticationError, client("sk_test_wrongwrongwrong1234").v1.customers.list, status=401,
                     message=r"^Invalid API Key provided: sk_test_\*+1234")
        with self.assertRaises((stripe.AuthenticationError, stripe.PermissionError)) as caught:
            publishable.v1.customers.list()
        self.assertRegex(caught.exception.user_message, "^This API call cannot be made with a publishable API key")
        self.assertTrue(v1.accounts.retrieve_current().id.startswith("acct_"))
        self.assertFalse(v1.balance.retrieve().livemode)
        answer = secret.raw_request("get", "/v1/balance")
        self.assertEqual(answer.headers["Stripe-Version"], stripe.api_version)

    def test_unset_by_empty_text(self):
        customer = v1.customers.create({"email": "x@example.com", "phone": "123", "address": {"line1": "Road 1"}})
        bare = v1.customers.update(customer.id, {"email": "", "phone": "", "address": ""})
        self.assertEqual((bare.email, bare.phone, bare.address), (None, None, None))

    def test_metadata_limits(self):
        for metadata in ({f"k{i}": "v" for i in range(51)}, {"k" * 41: "v"}, {"k": "v" * 501}):
            self.invalid(v1.customers.create, {"metadata": metadata}, status=400)
        self.assertEqual(plain(v1.customers.create({"metadata": {"b": "ünï & = +"}}).metadata), {"b": "ünï & = +"})


class Idempotency(Case):
    def test_replay_and_mismatch(self):
        key = unique("key")
        params, options = {"email": f"{key}@example.com"}, {"idempotency_key": key}
        first = v1.customers.create(params, options)
        second = v1.customers.create(params, options)
        self.assertEqual(first.id, second.id)
        self.assertEqual(len(v1.customers.list(params).data), 1)
        with self.assertRaises(stripe.IdempotencyError) as caught:
            v1.customers.create({**params, "name": "Other"}, options)
        self.assertEqual(caught.exception.http_status, 400)
        self.assertEqual(caught.exception.json_body["error"]["type"], "idempotency_error")
        with self.assertRaises(stripe.IdempotencyError):
            v1.products.create({"name": "x"}, options)

    def test_replayed_header(self):
        key = unique("raw")
        answers = [secret.raw_request("post", "/v1/products", name=key, idempotency_key=key) for _ in range(2)]
        self.assertNotIn("Idempotent-Replayed", answers[0].headers)
        self.assertEqual(answers[1].headers["Idempotent-Replayed"], "true")
        self.assertEqual(answers[1].headers["Original-Request"], answers[0].headers["Request-Id"])
        self.assertEqual(answers[0].body, answers[1].body)

    def test_concurrent_twins(self):
        key = unique("twin")
        params = {"email": f"{key}@example.com"}

        def create(_):
            return v1.customers.create(params, {"idempotency_key": key, "max_network_retries": 5}).id

        with ThreadPoolExecutor(4) as pool:
            made = set(pool.map(create, range(4)))
        self.assertEqual(len(made), 1)
        self.assertEqual(ids(v1.customers.list(params).data), list(made))

    def test_declines_are_replayed(self):
        customer, _ = customer_with(None)
        params = {"amount": 900, "currency": "usd", "customer": customer.id, "confirm": True,
                  "payment_method": "pm_card_visa_chargeDeclined", **CARDS}
        key = {"idempotency_key": unique("decline")}
        one = self.declined(v1.payment_intents.create, params, key)
        two = self.declined(v1.payment_intents.create, params, key)
        self.assertEqual(one.error.payment_intent.id, two.error.payment_intent.id)
        self.assertEqual(len(v1.payment_intents.list({"customer": customer.id}).data), 1)


class Lists(Case):
    def test_customers(self):
        email = f"{unique('Find')}@example.com"
        one, two = (customer_with(None, email=email)[0] for _ in range(2))

        def by(**filters):
            return ids(v1.customers.list({"email": email, **filters}).data)

        self.assertEqual(by(), [two.id, one.id])
        self.assertEqual(by(email=email.lower()), [])
        self.assertEqual(by(created={"gte": one.created, "lte": two.created}), [two.id, one.id])
        self.assertEqual(by(created={"gt": int(time.time()) + 5}), [])
        self.assertEqual(by(limit=0), [two.id])
        self.assertEqual(by(limit=1000), [two.id, one.id])
        self.invalid(v1.customers.list, {"starting_after": one.id, "ending_before": two.id}, status=400, message="^Received both")

    def test_subscriptions(self):
        made = Subscribed()
        second = v1.subscriptions.create({"customer": made.customer.id, "items": [{"price": made.price.id}]})
        v1.subscriptions.cancel(second.id)

        def by(**filters):
            return ids(v1.subscriptions.list(filters).data)

        price, first = made.price.id, made.subscription.id
        self.assertEqual(by(customer=made.customer.id), [first])
        self.assertEqual(by(price=price, status="active"), [first])
        self.assertEqual(by(price=price, status="canceled"), [second.id])
        self.assertEqual(by(price=price, status="ended"), [second.id])
        self.assertEqual(by(price=price, status="all"), [second.id, first])
        self.assertEqual(by(price=price, status="past_due"), [])

    def test_products_and_prices(self):
        product, price = priced(700, lookup_key=unique("look"))
        self.assertEqual(ids(v1.products.list({"ids": [product.id]}).data), [product.id])
        found = v1.prices.list({"lookup_keys": [price.lookup_key], "expand": ["data.product"]})
        self.assertEqual(found.data[0].product.name, product.name)
        self.assertEqual(v1.prices.list({"product": product.id, "type": "one_time"}).data, [])
        self.assertFalse(v1.prices.update(price.id, {"active": False}).active)
        customer, _ = customer_with()
        self.invalid(v1.subscriptions.create, {"customer": customer.id, "items": [{"price": price.id}]}, status=400, param="items[0][price]")
        self.invalid(v1.products.delete, product.id, status=400)
        lonely = v1.products.create({"name": "Lonely", "id": unique("own").replace("-", "_")})
        self.invalid(v1.products.create, {"name": "Lonely", "id": lonely.id}, status=400, code="resource_already_exists")
        self.assertTrue(v1.products.delete(lonely.id).deleted)
        self.missing(v1.products.retrieve, lonely.id)

//! Prices that are made together with what they are for, or with their product.

use serde::Deserialize;

use super::{
    RecurringParams, Sketch,
    cost::{CostParams, CurrencyOptionsParams, CustomUnitAmountParams, currency_options},
};
use crate::{
    api::products,
    billing::{
        Amount, Books, Currency, Id, MetadataPatch, Moment, Refusal, Timestamp,
        decimal::Decimal,
        edit::within,
        id::Bucket,
        plan,
        price::{BillingScheme, Price, TaxBehavior},
        product::{Kind, Product},
        shape::{Text, Unsupported},
    },
};

/// `product_data` of a new price: its product, made with it.
#[derive(Clone, Debug, Deserialize)]
pub struct ProductData {
    name: String,
    active: Option<bool>,
    id: Option<Text<255>>,
    #[serde(default)]
    metadata: MetadataPatch,
    statement_descriptor: Option<Text<22>>,
    unit_label: Option<Text<12>>,
    #[expect(dead_code, reason = "named so that it is refused, not ignored")]
    tax_code: Option<Unsupported>,
    #[expect(dead_code, reason = "named so that it is refused, not ignored")]
    tax_details: Option<Unsupported>,
}

impl ProductData {
    /// Puts the product into the books.
    pub fn make(self, books: &mut Books, livemode: bool, param: &str, at: &mut Moment) -> Result<Id<Product>, Refusal> {
        let id = match self.id {
            Some(Text(id)) => products::given_id(&id).map_err(|refusal| refusal.param(within(param, "id")))?,
            None => Id::new(&mut at.ids, Bucket::SHARED),
        };
        let product = Product {
            active: self.active.unwrap_or(true),
            metadata: self.metadata.initial()?,
            statement_descriptor: self.statement_descriptor.map(String::from),
            unit_label: self.unit_label.map(String::from),
            ..products::blank(id.clone(), self.name, Kind::Service, livemode, at.now)
        };
        books.put(product).tell("product.created", at);
        Ok(id)
    }
}

/// `default_price_data` of a new product.
#[derive(Clone, Debug, Deserialize)]
pub struct DefaultPriceData {
    currency: Currency,
    currency_options: Option<CurrencyOptionsParams>,
    custom_unit_amount: Option<CustomUnitAmountParams>,
    #[serde(default)]
    metadata: MetadataPatch,
    recurring: Option<RecurringParams>,
    tax_behavior: Option<TaxBehavior>,
    unit_amount: Option<Amount>,
    unit_amount_decimal: Option<Decimal>,
}

impl DefaultPriceData {
    /// The price, yet to be kept.
    pub fn price(self, product: Id<Product>, livemode: bool, at: &mut Moment) -> Result<Price, Refusal> {
        let param = "default_price_data";
        let options = self.currency_options.unwrap_or_default();
        let cost = CostParams {
            custom_unit_amount: self.custom_unit_amount,
            tax_behavior: self.tax_behavior,
            tiers: None,
            unit_amount: self.unit_amount,
            unit_amount_decimal: self.unit_amount_decimal,
        };
        let sketch = Sketch {
            cost: cost.check(self.currency, BillingScheme::PerUnit, param)?,
            currency_options: currency_options(options, self.currency, BillingScheme::PerUnit, param)?,
            recurring: self.recurring.map(|recurring| recurring.check(&within(param, "recurring"))).transpose()?,
            ..Sketch::of(product, self.currency, livemode)
        };
        sketch.price(self.metadata, at)
    }
}

/// `price_data`: a price that is made together with what it is for, and can be used for nothing else.
#[derive(Clone, Debug, Deserialize)]
pub struct InlinePrice {
    currency: Currency,
    pub product: Id<Product>,
    recurring: Option<RecurringParams>,
    tax_behavior: Option<TaxBehavior>,
    unit_amount: Option<Amount>,
    unit_amount_decimal: Option<Decimal>,
}

impl InlinePrice {
    /// Puts the price into the books; `param` is where it was given.
    pub fn make(self, books: &mut Books, livemode: bool, param: &str, at: &mut Moment) -> Result<Id<Price>, Refusal> {
        let cost = CostParams {
            tax_behavior: self.tax_behavior,
            unit_amount: self.unit_amount,
            unit_amount_decimal: self.unit_amount_decimal,
            ..CostParams::default()
        };
        let cost = cost.check(self.currency, BillingScheme::PerUnit, param)?;
        books.find(&self.product, &within(param, "product"))?;
        let recurring = self.recurring.map(|recurring| recurring.check(&within(param, "recurring"))).transpose()?;
        let sketch = Sketch { cost, recurring, ..Sketch::of(self.product, self.currency, livemode) };
        let price = sketch.price(MetadataPatch::default(), at)?;
        Ok(plan::create(books, Price { active: false, ..price }, at))
    }
}

/// `price_data` of a line: its product may be made with it.
#[derive(Clone, Debug, Deserialize)]
pub struct LinePrice {
    currency: Currency,
    pub product: Option<Id<Product>>,
    product_data: Option<LineProduct>,
    tax_behavior: Option<TaxBehavior>,
    unit_amount: Option<Amount>,
    unit_amount_decimal: Option<Decimal>,
}

/// `price_data` of a line of a session: it may recur.
#[derive(Clone, Debug, Deserialize)]
pub struct SessionPrice {
    currency: Currency,
    pub product: Option<Id<Product>>,
    product_data: Option<LineProduct>,
    recurring: Option<RecurringParams>,
    tax_behavior: Option<TaxBehavior>,
    unit_amount: Option<Amount>,
    unit_amount_decimal: Option<Decimal>,
}

impl SessionPrice {
    /// Puts the price into the books, and its product where it is made with it.
    pub fn make(self, books: &mut Books, livemode: bool, param: &str, at: &mut Moment) -> Result<Id<Price>, Refusal> {
        let line = LinePrice {
            currency: self.currency,
            product: self.product,
            product_data: self.product_data,
            tax_behavior: self.tax_behavior,
            unit_amount: self.unit_amount,
            unit_amount_decimal: self.unit_amount_decimal,
        };
        let inline = line.inline(books, livemode, param, at)?;
        InlinePrice { recurring: self.recurring, ..inline }.make(books, livemode, param, at)
    }
}

/// `product_data` of a line.
#[derive(Clone, Debug, Deserialize)]
struct LineProduct {
    name: String,
    description: Option<Text<40_000>>,
    images: Option<Vec<String>>,
    #[serde(default)]
    metadata: MetadataPatch,
    unit_label: Option<Text<12>>,
    #[expect(dead_code, reason = "named so that it is refused, not ignored")]
    tax_code: Option<Unsupported>,
    #[expect(dead_code, reason = "named so that it is refused, not ignored")]
    tax_details: Option<Unsupported>,
}

impl LinePrice {
    /// The same with a product that is there, which is put into the books where it is not yet.
    pub fn inline(
        self,
        books: &mut Books,
        livemode: bool,
        param: &str,
        at: &mut Moment,
    ) -> Result<InlinePrice, Refusal> {
        let product = match (self.product, self.product_data) {
            (Some(product), None) => product,
            (None, Some(data)) => {
                let product = data.product(livemode, at.now, at)?;
                let id = product.id.clone();
                books.put(product).tell("product.created", at);
                id
            }
            (Some(_), Some(_)) => {
                return Err(Refusal::exclusive(&["product", "product_data"]).param(within(param, "product")));
            }
            (None, None) => return Err(Refusal::missing(within(param, "product"))),
        };
        Ok(InlinePrice {
            currency: self.currency,
            product,
            recurring: None,
            tax_behavior: self.tax_behavior,
            unit_amount: self.unit_amount,
            unit_amount_decimal: self.unit_amount_decimal,
        })
    }
}

impl LineProduct {
    fn product(self, livemode: bool, now: Timestamp, at: &mut Moment) -> Result<Product, Refusal> {
        let id = Id::new(&mut at.ids, Bucket::SHARED);
        Ok(Product {
            active: false,
            description: self.description.map(String::from),
            images: self.images.unwrap_or_default(),
            metadata: self.metadata.initial()?,
            unit_label: self.unit_label.map(String::from),
            ..products::blank(id, self.name, Kind::Service, livemode, now)
        })
    }
}

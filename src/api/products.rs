//! `/v1/products`

use serde::{Deserialize, Deserializer, de};

use super::{
    call::Call,
    prices,
    reply::Reply,
    route::{At, Route, deleted},
};
use crate::{
    billing::{
        Id, Metadata, MetadataPatch, Refusal, Resource,
        id::Bucket,
        plan,
        price::Price,
        product::{Kind, MarketingFeature, NOUN, PackageDimensions, Product, Tag},
        shape::{Null, Patch, Text, Unsupported},
    },
    engine::{Owner, Subject, verb::Decision},
    store::books::Needs,
};

pub fn routes() -> Vec<Route> {
    vec![
        Route::list("/v1/products", &NOUN),
        Route::search("/v1/products/search", &NOUN),
        Route::post("/v1/products", create, &NOUN),
        Route::retrieve("/v1/products/{id}", &NOUN),
        Route::post("/v1/products/{id}", update, &NOUN),
        Route::delete("/v1/products/{id}", delete, deleted(&NOUN)),
    ]
}

#[derive(Clone, Debug, Deserialize)]
#[expect(dead_code, reason = "some are named so that they are refused, not ignored")]
struct Create {
    active: Option<bool>,
    default_price_data: Option<prices::DefaultPriceData>,
    #[serde(default)]
    description: Patch<Text<40_000>>,
    id: Option<Text<255>>,
    #[serde(default)]
    images: Patch<Vec<String>>,
    #[serde(default)]
    marketing_features: Patch<Vec<MarketingFeature>>,
    #[serde(default)]
    metadata: MetadataPatch,
    name: String,
    #[serde(default)]
    package_dimensions: Patch<DimensionsParams>,
    shippable: Option<bool>,
    #[serde(default)]
    statement_descriptor: Patch<Text<22>>,
    tax_code: Option<Unsupported>,
    tax_details: Option<Unsupported>,
    #[serde(rename = "type")]
    kind: Option<Kind>,
    #[serde(default)]
    unit_label: Patch<Text<12>>,
    #[serde(default)]
    url: Patch<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Update {
    active: Option<bool>,
    default_price: Patch<Id<Price>>,
    description: Patch<Text<40_000>>,
    images: Patch<Vec<String>>,
    marketing_features: Patch<Vec<MarketingFeature>>,
    metadata: MetadataPatch,
    name: Option<String>,
    package_dimensions: Patch<DimensionsParams>,
    shippable: Option<bool>,
    statement_descriptor: Patch<Text<22>>,
    tax_code: Option<Unsupported>,
    tax_details: Option<Unsupported>,
    unit_label: Patch<Text<12>>,
    url: Patch<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
struct DimensionsParams {
    height: Measure,
    length: Measure,
    weight: Measure,
    width: Measure,
}

/// A length or a weight: a number above zero, with two decimal places at most.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Measure(f64);

impl<'de> Deserialize<'de> for Measure {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        let plain = !whole.is_empty() && whole.len() <= 9 && fraction.len() <= 2 && digits(whole) && digits(fraction);
        let number = text.parse().ok().filter(|number| plain && *number > 0.0);
        number.map(Measure).ok_or_else(|| de::Error::custom(format_args!("Invalid decimal: {text}")))
    }
}

impl From<DimensionsParams> for PackageDimensions {
    fn from(params: DimensionsParams) -> PackageDimensions {
        let DimensionsParams { height, length, weight, width } = params;
        PackageDimensions { height: height.0, length: length.0, weight: weight.0, width: width.0 }
    }
}

impl Create {
    /// Creating is making a blank product and updating it.
    fn details(self) -> Update {
        Update {
            active: self.active,
            default_price: Patch::Keep,
            description: self.description,
            images: self.images,
            marketing_features: self.marketing_features,
            metadata: self.metadata,
            name: Some(self.name),
            package_dimensions: self.package_dimensions,
            shippable: self.shippable,
            statement_descriptor: self.statement_descriptor,
            tax_code: None,
            tax_details: None,
            unit_label: self.unit_label,
            url: self.url,
        }
    }
}

impl Update {
    fn apply(self, product: Product, now: crate::billing::Timestamp) -> Result<Product, Refusal> {
        let changed = Product {
            active: self.active.unwrap_or(product.active),
            description: self.description.map(String::from).over(product.description),
            images: self.images.over(Some(product.images)).unwrap_or_default(),
            marketing_features: self.marketing_features.over(Some(product.marketing_features)).unwrap_or_default(),
            metadata: self.metadata.apply(product.metadata)?,
            name: self.name.unwrap_or(product.name),
            shippable: self.shippable.or(product.shippable),
            statement_descriptor: self.statement_descriptor.map(String::from).over(product.statement_descriptor),
            package_dimensions: self.package_dimensions.map(Into::into).over(product.package_dimensions),
            unit_label: self.unit_label.map(String::from).over(product.unit_label),
            url: self.url.over(product.url),
            updated: now,
            ..product
        };
        for (param, list, most) in
            [("images", changed.images.len(), 8), ("marketing_features", changed.marketing_features.len(), 15)]
        {
            if list > most {
                return Err(
                    Refusal::invalid(format!("Array items exceeded maximum {most} allowed elements.")).param(param)
                );
            }
        }
        Ok(changed)
    }
}

async fn create(call: Call, params: Create) -> Reply {
    let livemode = call.livemode();
    let verb = Decision::new(Owner::Nobody, Needs::default(), move |books, at| {
        let id = match &params.id {
            Some(Text(id)) => given_id(id)?,
            None => Id::new(&mut at.ids, Bucket::SHARED),
        };
        let (kind, price) = (params.kind.unwrap_or(Kind::Service), params.default_price_data.clone());
        let blank = blank(id.clone(), params.name.clone(), kind, livemode, at.now);
        let mut product = params.details().apply(blank, at.now)?;
        if let Some(data) = price {
            let price = data.price(id.clone(), livemode, at)?;
            product.default_price = Some(price.id.clone());
            books.put(product).tell("product.created", at);
            plan::create(books, price, at);
        } else {
            books.put(product).tell("product.created", at);
        }
        Ok(Subject::document(&id))
    });
    call.run(&NOUN, verb).await
}

/// An id that the caller has chosen.
pub fn given_id<R: Resource>(id: &str) -> Result<Id<R>, Refusal> {
    if !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')) {
        return Ok(Id::given(id));
    }
    Err(Refusal::invalid("Invalid id: only letters, digits, _ and - are allowed.").param("id"))
}

pub fn blank(id: Id<Product>, name: String, kind: Kind, livemode: bool, now: crate::billing::Timestamp) -> Product {
    Product {
        id,
        object: Tag::Product,
        active: true,
        created: now,
        default_price: None,
        description: None,
        images: Vec::new(),
        livemode,
        marketing_features: Vec::new(),
        metadata: Metadata::new(),
        name,
        package_dimensions: None,
        shippable: None,
        statement_descriptor: None,
        tax_code: Null,
        tax_details: Null,
        kind,
        unit_label: None,
        updated: now,
        url: None,
    }
}

async fn update(At(id): At<String>, call: Call, params: Update) -> Reply {
    let id: Id<Product> = Id::given(id);
    let mut needs = Needs::default();
    needs.document(&id);
    if let Patch::Set(price) = &params.default_price {
        needs.prices.push(price.clone());
    }
    let verb = Decision::new(Owner::Nobody, needs, move |books, at| {
        let product = books.at_path(&id)?.clone();
        let default_price = params.default_price.clone().over(product.default_price.clone());
        if let Some(price) = &default_price {
            let belongs = product.default_price.as_ref() == Some(price)
                || books.price(price).is_some_and(|price| price.product == id);
            if !belongs {
                return Err(Refusal::no_such("price", price.as_str()).param("default_price"));
            }
        }
        let changed = Product { default_price, ..params.apply(product, at.now)? };
        books.put(changed).tell("product.updated", at);
        Ok(Subject::document(&id))
    });
    call.run(&NOUN, verb).await
}

async fn delete(At(id): At<String>, call: Call) -> Reply {
    let id: Id<Product> = Id::given(id);
    let mut needs = Needs::default();
    needs.document(&id);
    let verb = Decision::new(Owner::Nobody, needs, move |books, at| {
        books.at_path(&id)?;
        books.tell(&id, "product.deleted", at);
        books.remove(&id);
        Ok(Subject::deleted(&id))
    });
    call.run(&NOUN, verb).await
}

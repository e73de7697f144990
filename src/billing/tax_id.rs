//! The number by which a tax office knows a customer, or the account itself.

use serde::{Deserialize, Serialize};

use super::{
    Books, Id, Moment, Noun, Refusal, Resource, Timestamp,
    customer::{self, Customer, CustomerTaxId},
    describe,
    id::Bucket,
    noun::{Cell, Keyed, null, one, text},
    shape::Null,
};
use crate::words;

pub static NOUN: Noun = Noun {
    object: "tax_id",
    prefix: "txi_",
    table: "tax_ids",
    url: "/v1/tax_ids",
    name: "tax_id",
    keyed: Keyed::OfCustomer,
    leaves_stub: false,
    columns: &[text("customer")],
    filters: &[],
    links: &[one("customer", &customer::NOUN), one("owner.customer", &customer::NOUN), null("owner.account")],
    inlines: &[],
    previews: &[],
    searchable: &[],
    document: describe::shape_of::<TaxId>,
};

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TaxId {
    pub id: Id<TaxId>,
    pub object: Tag,
    pub country: Option<String>,
    pub created: Timestamp,
    pub customer: Option<Id<Customer>>,
    pub customer_account: Null,
    pub livemode: bool,
    pub owner: Owner,
    #[serde(rename = "type")]
    pub kind: String,
    pub value: String,
    pub verification: Option<Verification>,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub enum Tag {
    #[serde(rename = "tax_id")]
    TaxId,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Owner {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customer: Option<Id<Customer>>,
    pub customer_account: Null,
    #[serde(rename = "type")]
    pub kind: OwnerType,
}

words!(OwnerType { Account = "account", Application = "application", Customer = "customer", Itself = "self" });

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Verification {
    pub status: VerificationStatus,
    pub verified_address: Option<String>,
    pub verified_name: Option<String>,
}

words!(VerificationStatus {
    Pending = "pending",
    Unavailable = "unavailable",
    Unverified = "unverified",
    Verified = "verified",
});

/// Every type there is, in alphabetical order.
#[rustfmt::skip]
const TYPES: [&str; 135] = [
    "ad_nrt", "ae_trn", "al_tin", "am_tin", "ao_tin", "ar_cuit", "au_abn", "au_acn", "au_arn", "au_wpn",
    "aw_tin", "az_tin", "ba_tin", "bb_tin", "bd_bin", "bf_ifu", "bg_uic", "bh_vat", "bj_ifu", "bo_tin",
    "br_cnpj", "br_cpf", "bs_tin", "bw_vat", "by_tin", "ca_bn", "ca_gst_hst", "ca_pst_bc", "ca_pst_mb",
    "ca_pst_sk", "ca_qst", "cd_nif", "ch_uid", "ch_vat", "ci_vat", "cl_tin", "cm_niu", "cn_tin", "co_nit",
    "cr_tin", "cv_nif", "cz_dic", "de_stn", "do_rcn", "ec_ruc", "eg_tin", "es_cif", "et_tin", "eu_oss_vat",
    "eu_vat", "fo_vat", "fr_siren", "fr_siret", "fr_spi", "gb_vat", "ge_vat", "gh_tin", "gi_tin", "gn_nif",
    "hk_br", "hr_oib", "hu_tin", "ic_nif", "id_npwp", "il_vat", "in_gst", "is_kt", "is_vat", "it_cf", "jp_cn",
    "jp_rn", "jp_trn", "ke_pin", "kg_tin", "kh_tin", "kr_brn", "kz_bin", "la_tin", "li_uid", "li_vat",
    "lk_vat", "ma_vat", "md_cf", "md_vat", "me_pib", "mk_vat", "mr_nif", "mu_vat", "mx_rfc", "my_frp",
    "my_itn", "my_sst", "mz_nuit", "ng_tin", "no_vat", "no_voec", "np_pan", "nz_bn", "nz_gst", "om_vat",
    "pe_ruc", "ph_tin", "pl_nip", "pt_nif", "py_ruc", "ro_tin", "rs_pib", "ru_inn", "ru_kpp", "sa_vat",
    "sg_gst", "sg_uen", "si_tin", "sm_coe", "sn_ninea", "sr_fin", "sv_nit", "th_vat", "tj_tin", "tr_tin",
    "tt_bir", "tt_vat", "tw_vat", "tz_vat", "ua_vat", "ug_tin", "us_ein", "uy_ruc", "uz_tin", "uz_vat",
    "ve_rif", "vn_tin", "za_vat", "zm_tin", "zw_tin",
];

/// How many a customer can have.
const MOST: usize = 25;

/// A type and a value that may go together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Number {
    pub kind: String,
    pub value: String,
}

impl Number {
    /// Refuses types that there are not, and values that certainly are none of their type.
    pub fn check(kind: String, value: &str) -> Result<Number, Refusal> {
        if TYPES.binary_search(&kind.as_str()).is_err() {
            let (first, last) = (TYPES[..TYPES.len() - 1].join(", "), TYPES[TYPES.len() - 1]);
            return Err(Refusal::invalid(format!("Invalid type: must be one of {first}, or {last}")).param("type"));
        }
        let value = value.trim();
        let letters = value.bytes().take(2).filter(u8::is_ascii_alphabetic).count();
        let digits = value.bytes().filter(u8::is_ascii_digit).count();
        let fits = match kind.as_str() {
            "eu_vat" | "es_cif" | "fr_siren" if value.len() > 20 => false,
            // The country's letters, and then up to twelve characters.
            "eu_vat" => letters == 2 && digits >= 2 && value.len() >= 4,
            "gb_vat" => matches!(value.get(..2), Some("GB" | "XI")) && digits >= 3,
            "us_ein" | "fr_siren" => digits == 9,
            "au_abn" => digits == 11,
            _ => value.bytes().any(|byte| byte.is_ascii_alphanumeric()),
        };
        if fits && value.len() <= 100 {
            return Ok(Number { kind, value: value.to_owned() });
        }
        Err(Refusal::invalid(format!("Invalid value for {kind}.")).code("tax_id_invalid").param("value"))
    }

    /// Types begin with their country; the Union's values do.
    fn country(&self) -> Option<String> {
        let of = match self.kind.as_str() {
            "eu_oss_vat" => return None,
            "eu_vat" => self.value.get(..2)?.to_ascii_uppercase(),
            kind => kind.get(..2)?.to_ascii_uppercase(),
        };
        Some(match of.as_str() {
            "EL" => "GR".to_owned(),
            "IC" => "ES".to_owned(),
            _ => of,
        })
    }

    /// There is no office to ask; the test values say what it would have answered.
    fn verification(&self) -> Verification {
        let is = |digit: &str| self.value.ends_with(&digit.repeat(9));
        let status = match self.kind.as_str() {
            "au_abn" | "eu_vat" | "gb_vat" if is("0") => VerificationStatus::Verified,
            "au_abn" | "eu_vat" | "gb_vat" if is("1") => VerificationStatus::Unverified,
            "au_abn" | "eu_vat" | "gb_vat" => VerificationStatus::Pending,
            _ => VerificationStatus::Unavailable,
        };
        Verification { status, verified_address: None, verified_name: None }
    }
}

fn blank(number: Number, customer: Option<Id<Customer>>, livemode: bool, at: &mut Moment) -> TaxId {
    let bucket = customer.as_ref().map_or(Bucket::SHARED, Id::bucket);
    let kind = if customer.is_some() { OwnerType::Customer } else { OwnerType::Itself };
    TaxId {
        id: Id::new(&mut at.ids, bucket),
        object: Tag::TaxId,
        country: number.country(),
        created: at.now,
        customer: customer.clone(),
        customer_account: Null,
        livemode,
        owner: Owner { customer, customer_account: Null, kind },
        verification: Some(number.verification()),
        kind: number.kind,
        value: number.value,
    }
}

/// The account's own.
pub fn of_account(books: &mut Books, number: Number, livemode: bool, at: &mut Moment) -> Id<TaxId> {
    let made = blank(number, None, livemode, at);
    let id = made.id.clone();
    books.put(made);
    id
}

/// Gives the customer of the books one more. Its invoices show them all.
pub fn give(books: &mut Books, number: Number, at: &mut Moment) -> Result<Id<TaxId>, Refusal> {
    let mut customer = books.customer()?.clone();
    if customer.internal.tax_ids.len() >= MOST {
        return Err(Refusal::invalid(format!("A customer can have at most {MOST} tax IDs.")));
    }
    let made = blank(number, Some(customer.id.clone()), customer.livemode, at);
    let id = made.id.clone();
    customer.internal.tax_ids.push(CustomerTaxId {
        id: Some(id.clone()),
        kind: made.kind.clone(),
        value: Some(made.value.clone()),
    });
    books.put(customer);
    books.put(made).tell("customer.tax_id.created", at);
    Ok(id)
}

/// Takes one away for good.
pub fn take(books: &mut Books, id: &Id<TaxId>, at: &mut Moment) -> Result<(), Refusal> {
    let owner = books.at_path(id)?.customer.clone();
    if let Some(mut customer) = owner.and_then(|owner| books.get(&owner)).cloned() {
        customer.internal.tax_ids.retain(|tax_id| tax_id.id.as_ref() != Some(id));
        books.put(customer);
        books.tell(id, "customer.tax_id.deleted", at);
    }
    books.remove(id);
    Ok(())
}

impl Resource for TaxId {
    const NOUN: &'static Noun = &NOUN;

    crate::basics!(created);

    fn cells(&self) -> Vec<Cell> {
        vec![Cell::maybe(self.customer.as_ref())]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Tax IDs: what is certainly none, whose country, and what the test values come to.
    #[test]
    fn numbers_are_checked_as_far_as_it_is_certain() {
        assert!(TYPES.is_sorted());
        for (kind, value, country, status) in [
            ("eu_vat", "DE123456789", Some("DE"), "pending"),
            ("eu_vat", "EL000000000", Some("GR"), "verified"),
            ("gb_vat", "GB111111111", Some("GB"), "unverified"),
            ("us_ein", "12-3456789", Some("US"), "unavailable"),
            ("ch_vat", " CHE-123.456.789 MWST ", Some("CH"), "unavailable"),
            ("eu_oss_vat", "EU123456789", None, "unavailable"),
        ] {
            let number = Number::check(kind.to_owned(), value).unwrap();
            assert_eq!(number.country().as_deref(), country, "{kind} {value}");
            assert_eq!(number.verification().status.word(), status, "{kind} {value}");
        }
        for (kind, value) in [("eu_vat", "123456789"), ("gb_vat", "DE123"), ("us_ein", "12"), ("br_cpf", " - ")] {
            let refusal = Number::check(kind.to_owned(), value).unwrap_err();
            assert_eq!(refusal.code.as_deref(), Some("tax_id_invalid"), "{kind} {value}");
        }
        assert_eq!(Number::check("xx_vat".to_owned(), "1").unwrap_err().param.as_deref(), Some("type"));
    }
}

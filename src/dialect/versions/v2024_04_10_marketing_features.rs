use super::{Change, Route, tools};
use crate::dialect::{form::Form, version::Version};

pub static CHANGE: Change = Change {
    since: Version::of("2024-04-10"),
    summary: "features of products became marketing_features.",
    objects: &["product"],
    undo: |members, _| tools::rename(members, "marketing_features", "features"),
    accept,
    ..Change::NONE
};

fn accept(route: &Route<'_>, form: &mut Form) {
    if route.posts_to(&["/v1/products", "/v1/products/{id}"]) {
        form.rename("features", "marketing_features");
    }
}

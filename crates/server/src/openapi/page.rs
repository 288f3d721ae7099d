use utoipa::IntoParams;

/// Which page of a list.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "it is only described: crate::input::Page reads it")]
pub(crate) struct PageQuery {
    /// How many items to skip. Default 0.
    #[param(maximum = 9_223_372_036_854_775_807_i64)]
    offset: Option<u64>,
    /// How many items to show; more than 100 counts as 100. Default 100. With 0 only the count is shown.
    limit: Option<u64>,
}

//! How the tables of routes are written: a line per route.

/// A table of routes of Sahara's surface. The first two texts are what every path begins with and what every operation ends with;
/// a row may name the schema of its body (`takes`), its query parameters (`asks`), or the parameters outside of which none is
/// taken (`only`: the original's name of the function, the parameters, and those that it forgot to name).
macro_rules! routes {
    ($prefix:literal, $suffix:literal; $(
        $method:ident $path:literal $rule:literal $operation:literal $summary:literal $answer:expr, $handler:path
        $(, takes $schema:literal)? $(, asks $query:expr)? $(, only $name:literal $names:expr $(, and $unsaid:expr)?)?;
    )*) => {
        vec![$(
            $crate::route::Route::checked(
                $crate::call::Checks {
                    surface: $crate::route::Surface::Sahara,
                    reads: $crate::call::Reads::Json,
                    rule: concat!("data-processing:", $rule),
                    answer: $answer,
                    params: [$($crate::route::Params {
                        handler: $name,
                        names: &$names,
                        unsaid: [$(&$unsaid as &'static [&'static str])?].first().copied().unwrap_or(&[]),
                    })?].first().copied(),
                },
                concat!(stringify!($method), " ", $prefix, $path),
                (concat!($operation, $suffix), $summary),
                $handler,
            )$(.takes($schema))?$(.asks($query))?
        ),*]
    };
}

pub(super) use routes;

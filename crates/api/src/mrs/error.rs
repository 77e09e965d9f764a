//! Errors of MRS: one table with code, status and text in two languages (mrs-v1.1.md section 7, mrs-v2.md section 7), and which
//! fault becomes which code. Behind the text of the table stands what is wrong in this case, in English.

use axum::{
    Json,
    body::Body,
    extract::Request,
    http::{HeaderValue, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use foggara_domain::{Code as Rule, Error};
use serde_json::{Map, Value, json};

use crate::{
    fault::{Fault, Said},
    route::Surface,
};

macro_rules! table {
    ($($(#[$doc:meta])* $name:ident = $code:literal $status:literal $english:literal $chinese:literal;)*) => {
        /// A code of MRS.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Code { $($(#[$doc])* $name,)* }

        impl Code {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// Code on the wire, HTTP status, text in English and in Chinese.
            fn row(self) -> (&'static str, u16, &'static str, &'static str) {
                match self { $(Self::$name => ($code, $status, $english, $chinese),)* }
            }
        }
    };
}

table! {
    /// No token, or none that is good.
    Unauthorized = "12000001" 401 "The authentication information is invalid." "认证信息无效。";
    /// A parameter or the body is wrong.
    Parameter = "12000009" 400 "The parameter is invalid." "参数无效。";
    /// The name of a cluster is wrong or taken.
    ClusterName = "12000002" 400 "The cluster name is invalid." "集群名称无效。";
    /// The cluster does not exist, for this caller.
    NoCluster = "12000003" 400 "The cluster does not exist." "集群不存在。";
    /// A defect, or something that is lacking at the moment.
    Internal = "12000004" 500 "Internal error." "系统内部错误。";
    /// The caller's roles do not suffice.
    Forbidden = "12000052" 400 "You do not have the access rights." "没有访问权限。";
    /// The operation does not exist here.
    NotSupported = "12000054" 400 "The operation is not supported." "不支持该操作。";
    /// Too many jobs wait (V1.1).
    TooMany = "12000060" 429 "Too many jobs are running on the cluster." "集群中运行的作业过多。";
    /// The job cannot be taken (V1.1).
    Submit = "12000061" 400 "Failed to submit the job." "提交作业失败。";
    /// The cluster takes no jobs at present (V1.1).
    ClusterState = "12000062" 400 "The cluster status does not allow submitting jobs." "集群状态不允许提交作业。";
    /// The cluster has no Spark or Hive (V1.1).
    NoSpark = "12000063" 400 "The cluster does not support jobs of this type." "集群不支持提交该类型的作业。";
    /// MapReduce and Spark need a program (V1.1).
    NoJar = "12000081" 400 "jar_path must not be blank for MapReduce and Spark jobs." "MapReduce或Spark作业的jar_path不能为空。";
    /// The token has no project.
    NoProject = "12000107" 400 "The project ID is invalid." "项目ID无效。";
    /// Hive and Spark scripts need their file (V1.1).
    NoScript = "12000114" 400 "hive_script_path must not be blank for Hive and Spark scripts." "Hive或SparkScript作业的hive_script_path不能为空。";
    /// There is no such path.
    NoRoute = "APIGW.0101" 404 "The API does not exist." "API不存在。";
    /// The body is too large.
    TooLarge = "APIGW.0201" 413 "The request body is too large." "请求体过大。";
    /// Not done in time.
    TooSlow = "APIGW.0203" 504 "The request timed out." "请求超时。";

    /// The cluster takes no jobs at present (V2).
    ClusterStateV2 = "0056" 500 "The cluster status does not allow submitting jobs." "集群状态不允许提交作业。";
    /// The cluster has no Spark (V2).
    NoSparkV2 = "0057" 500 "The cluster does not support Spark jobs." "集群不支持Spark作业。";
    /// The jobs could not be deleted.
    BatchDelete = "0161" 500 "Failed to delete the jobs in batches." "批量删除作业失败。";
    /// The job could not be shown.
    Show = "0162" 500 "Failed to query the job." "查询作业失败。";
    /// The statement is wrong.
    SqlCheck = "0165" 500 "The SQL statement check failed." "SQL语句校验失败。";
    /// The list could not be made.
    List = "0166" 500 "Failed to query the job list." "查询作业列表失败。";
    /// The cluster has no Hive.
    NoHive = "0168" 500 "The cluster does not support Hive jobs." "集群不支持Hive作业。";
    /// The cluster has no Flink.
    NoFlink = "0169" 500 "The cluster does not support Flink jobs." "集群不支持Flink作业。";
    /// The job failed, so there is no result.
    SqlCollect = "0172" 500 "Failed to collect the SQL result." "收集SQL结果失败。";
    /// The job cannot be taken (V2).
    SubmitV2 = "0173" 500 "Failed to submit the job." "提交作业失败。";
    /// The job could not be killed.
    Kill = "0175" 500 "Failed to terminate the job." "终止作业失败。";
    /// There is no such job on the cluster. Documented with 500; Terraform takes only 404 as gone (spec/README.md conflict 16).
    NoJob = "0176" 404 "The job does not exist." "作业不存在。";
    /// Too many jobs wait (V2).
    TooManyV2 = "0177" 429 "Too many jobs are running on the cluster." "集群中运行的作业过多。";
    /// No id of a job was given.
    NoJobIds = "0178" 500 "The job ID must not be blank." "作业ID不能为空。";
    /// The job is not of Spark SQL.
    NotSql = "0179" 500 "The job type must be SparkSql or SparkScript." "作业类型必须是SparkSql或SparkScript。";
    /// The job has not started.
    Submitting = "0180" 500 "The job is being submitted." "作业正在提交中。";
    /// There is no result.
    NoResult = "0181" 500 "The SQL result is empty." "SQL结果为空。";
    /// The result cannot be read.
    ReadResult = "0182" 500 "Failed to read the SQL result." "读取SQL结果失败。";
    /// The job has not ended.
    Running = "0183" 500 "The job is running." "作业正在运行中。";
    /// A condition for SQL is not met.
    SqlCondition = "MRS.0011" 500 "The SQL statement cannot be executed." "无法执行SQL语句。";
}

impl Code {
    /// The code on the wire: always a text.
    pub fn wire(self) -> &'static str {
        self.row().0
    }

    /// A refusal with what is wrong in this case.
    pub fn because(self, detail: impl Into<String>) -> Refused {
        Refused {
            code: self,
            status: self.row().1,
            detail: detail.into(),
            shape: Shape::Plain,
            retry_after: None,
            challenge: false,
        }
    }

    /// The refusal as a fault.
    pub fn fault(self, detail: impl Into<String>) -> Fault {
        self.because(detail).into()
    }
}

/// What stands around code and text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Nothing.
    Plain,
    /// The answer of V2's submit, with code and text inside of it and beside it (mrs-v2.md section 2).
    Submit,
    /// A statement that failed (mrs-v2.md section 6).
    Statement,
    /// A cancel that failed.
    Cancel,
}

/// A refusal in MRS's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Which.
    pub code: Code,
    /// HTTP status; the table's, unless the fault has one of its own.
    pub status: u16,
    /// What is wrong in this case; may be empty.
    pub detail: String,
    /// What stands around it.
    pub shape: Shape,
    /// When to ask again, in seconds.
    pub retry_after: Option<u64>,
    /// A 401 that names the identity service.
    challenge: bool,
}

impl From<Refused> for Fault {
    fn from(refused: Refused) -> Self {
        Self::Mrs(Box::new(refused))
    }
}

/// The languages of [`Code`]'s texts, chosen by `X-Language`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// `en-us`, and everything that is not known.
    English,
    /// `zh-cn`
    Chinese,
}

impl Refused {
    /// In another shape.
    #[must_use]
    pub fn shaped(mut self, shape: Shape) -> Self {
        self.shape = shape;
        self
    }

    /// The text.
    pub fn text(&self, language: Language) -> String {
        let (_, _, english, chinese) = self.code.row();
        match (language, self.detail.as_str()) {
            (Language::English, "") => english.to_owned(),
            (Language::Chinese, "") => chinese.to_owned(),
            (Language::English, detail) => format!("{english} {detail}"),
            (Language::Chinese, detail) => format!("{chinese}{detail}"),
        }
    }

    fn body(&self, language: Language) -> Value {
        let text = self.text(language);
        let pair =
            Map::from_iter([("error_code".to_owned(), json!(self.code.wire())), ("error_msg".to_owned(), json!(text))]);
        let mut body = match self.shape {
            Shape::Plain => Map::new(),
            Shape::Submit => Map::from_iter([("job_submit_result".to_owned(), Value::Object(pair.clone()))]),
            Shape::Statement => super::sql::failed(&text),
            Shape::Cancel => Map::from_iter([
                ("status".to_owned(), json!("FAILED")),
                ("message".to_owned(), json!("Cancel sql error")),
            ]),
        };
        body.extend(pair);
        Value::Object(body)
    }

    /// In the words that every surface needs.
    pub fn said(&self) -> Said {
        Said {
            status: StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
            name: self.code.wire(),
            message: self.text(Language::English),
            retry_after: self.retry_after,
        }
    }
}

/// A fault in MRS's words. `v2`: in those of its second version.
pub fn of(fault: &Fault, v2: bool) -> Refused {
    if let Fault::Mrs(refused) = fault {
        return (**refused).clone();
    }
    let said = fault.said();
    let code = match fault {
        // Signed requests are refused in the gateway's own words before this is asked (see `transport`).
        Fault::Unauthorized | Fault::WrongProject | Fault::Signature(_) => Code::Unauthorized,
        Fault::NoProject => Code::NoProject,
        Fault::ShortPath | Fault::NoRoute => Code::NoRoute,
        Fault::NoMethod => Code::NotSupported,
        Fault::TooLarge { .. } => Code::TooLarge,
        Fault::TooSlow { .. } => Code::TooSlow,
        Fault::Domain(Error::NotFound { .. }) if v2 => Code::NoJob,
        Fault::Domain(Error::Forbidden(_)) => Code::Forbidden,
        Fault::Domain(Error::TooMany { .. }) if v2 => Code::TooManyV2,
        Fault::Domain(Error::TooMany { .. }) => Code::TooMany,
        Fault::Domain(Error::Unavailable { .. } | Error::Internal(_)) => Code::Internal,
        Fault::Domain(Error::Refused { code: Rule::NameAlreadyExists, .. }) => Code::ClusterName,
        Fault::NotAcceptable | Fault::BrokenBody | Fault::Domain(_) | Fault::Mrs(_) => Code::Parameter,
    };
    let detail = if matches!(fault, Fault::Domain(Error::Internal(_))) { String::new() } else { said.message };
    // Where the status of the fault says more than the table's, it stays: 404, 405, 409, 503.
    let status = match code {
        Code::Parameter | Code::NotSupported | Code::Internal => said.status.as_u16(),
        _ => code.row().1,
    };
    let challenge = status == 401;
    Refused { code, status, detail, shape: Shape::Plain, retry_after: said.retry_after, challenge }
}

/// A refusal by a rule as another code; faults that have a code of their own keep it.
pub fn ruled(fault: Fault, code: Code) -> Fault {
    match fault {
        // Those that have a code of their own.
        Fault::Domain(Error::Refused { code: Rule::IdempotencyConflict | Rule::NameAlreadyExists, .. }) => fault,
        Fault::Domain(Error::Refused { message, .. } | Error::BadParameter(message)) => code.fault(message),
        other => other,
    }
}

/// The answer for a fault. `base` is the identity service's address, named in a 401.
pub fn answer(fault: &Fault, surface: Surface, base: &str) -> Response {
    let refused = of(fault, surface == Surface::MrsV2);
    let said = refused.said();
    if said.status == StatusCode::INTERNAL_SERVER_ERROR {
        tracing::warn!(code = refused.code.wire(), "answered with a server error");
    }
    let mut response = (said.status, Json(refused.body(Language::English))).into_response();
    let headers = response.headers_mut();
    if refused.challenge
        && let Ok(challenge) = HeaderValue::try_from(format!("Keystone uri=\"{base}\""))
    {
        headers.insert(header::WWW_AUTHENTICATE, challenge);
    }
    headers.extend(said.retry_after.map(|seconds| (header::RETRY_AFTER, HeaderValue::from(seconds))));
    response.extensions_mut().insert(refused);
    response
}

/// Answers refusals of MRS in Chinese to those who ask for it by `X-Language`.
pub async fn in_language(request: Request, next: Next) -> Response {
    let asked = request.headers().get("x-language").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let chinese = asked.trim().to_ascii_lowercase().starts_with("zh");
    let mut response = next.run(request).await;
    if chinese && let Some(refused) = response.extensions_mut().remove::<Refused>() {
        response.headers_mut().remove(header::CONTENT_LENGTH);
        *response.body_mut() = Body::from(refused.body(Language::Chinese).to_string());
    }
    response
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn codes_are_unique_and_have_both_texts() {
        let codes: BTreeSet<_> = Code::ALL.iter().map(|code| code.wire()).collect();
        assert_eq!(codes.len(), Code::ALL.len());
        for code in Code::ALL {
            let (_, status, english, chinese) = code.row();
            assert!((400..=504).contains(&status) && english.is_ascii() && !chinese.is_ascii(), "{code:?}");
        }
    }

    #[test]
    fn faults_become_codes() {
        let many = Fault::from(Error::TooMany { message: "m".into(), retry_after_seconds: 9 });
        for (fault, v2, code, status) in [
            (Fault::Unauthorized, false, "12000001", 401),
            (Fault::WrongProject, true, "12000001", 401),
            (Fault::NoProject, true, "12000107", 400),
            (Fault::NoRoute, false, "APIGW.0101", 404),
            (Fault::NoMethod, false, "12000054", 405),
            (Fault::from(Error::no_such_id("x")), false, "12000009", 404),
            (Fault::from(Error::no_such_id("x")), true, "0176", 404),
            (Fault::from(Error::Forbidden("f".into())), true, "12000052", 400),
            (many.clone(), false, "12000060", 429),
            (many, true, "0177", 429),
            (Fault::refused(Rule::InvalidData, "d"), true, "12000009", 400),
            (Fault::refused(Rule::IdempotencyConflict, "d"), true, "12000009", 409),
            (ruled(Fault::refused(Rule::DeletionFailed, "d"), Code::BatchDelete), true, "0161", 500),
        ] {
            let refused = of(&fault, v2);
            assert_eq!((refused.code.wire(), refused.status), (code, status), "{fault:?}");
        }
    }

    #[test]
    fn a_defect_is_not_shown() {
        let refused = of(&Fault::from(Error::Internal("SELECT secret".into())), true);
        assert_eq!(refused.body(Language::English), json!({"error_code": "12000004", "error_msg": "Internal error."}));
    }

    #[test]
    fn shapes_and_languages() {
        let refused = Code::SubmitV2.because("why").shaped(Shape::Submit);
        let body = refused.body(Language::Chinese);
        assert_eq!(body["job_submit_result"]["error_code"], "0173");
        assert_eq!((&body["error_code"], &body["error_msg"]), (&json!("0173"), &json!("提交作业失败。why")));
        let body = Code::SqlCheck.because("").shaped(Shape::Statement).body(Language::English);
        assert_eq!((&body["status"], &body["id"]), (&json!("FAILED"), &json!("")));
    }
}

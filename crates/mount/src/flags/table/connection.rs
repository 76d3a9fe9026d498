//! Rows about the store and who asks it, for every command that asks it.

use crate::flags::low::Connects;
use crate::flags::table::{Flag, Group};
use crate::flags::value::{account, path, some, text};

/// The rows of a command with the arguments `A`.
pub(crate) struct Rows<A>(std::marker::PhantomData<A>);

impl<A: Connects> Rows<A> {
    /// The rows.
    pub(crate) const FLAGS: &'static [Flag<A>] = &[
        Flag::<A>::value(Group::Bucket, "region", "REGION", "Region of the bucket", |a: &mut A, v| {
            some(&mut a.connection().region, text(v))
        })
        .doc(
            "When not given, the region is found by asking the bucket, starting from AWS_REGION or \
             AWS_DEFAULT_REGION. When given, it is taken at its word: a wrong one is an error.",
        )
        .default("found out"),
        Flag::<A>::value(Group::Bucket, "endpoint-url", "URL", "Address of the S3 service", |a: &mut A, v| {
            some(&mut a.connection().endpoint_url, text(v))
        })
        .doc("For S3-compatible stores and private endpoints, for example http://127.0.0.1:9000.")
        .default("AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL, else AWS's own"),
        Flag::<A>::switch(
            Group::Bucket,
            "force-path-style",
            "Put the bucket into the path, not into the host name",
            |a: &mut A| a.connection().force_path_style = true,
        )
        .doc("Most S3-compatible stores need it."),
        Flag::<A>::value(
            Group::Bucket,
            "expected-bucket-owner",
            "ACCOUNT",
            "Account that must own the bucket",
            |a: &mut A, v| some(&mut a.connection().expected_bucket_owner, text(v).and_then(account)),
        )
        .doc("12 digits. The store refuses every request when somebody else owns the bucket."),
        Flag::<A>::switch(Group::Bucket, "requester-pays", "Pay for the requests", |a: &mut A| {
            a.connection().requester_pays = true;
        })
        .doc("For buckets whose owner lets whoever asks pay."),
        Flag::<A>::switch(Group::Credentials, "no-sign-request", "Ask without credentials", |a: &mut A| {
            a.connection().no_sign_request = true;
        })
        .doc("For public buckets. Wins over --profile."),
        Flag::<A>::value(
            Group::Credentials,
            "profile",
            "NAME",
            "Profile of the AWS configuration",
            |a: &mut A, v| some(&mut a.connection().profile, text(v)),
        )
        .doc(
            "Its credentials are used and no others, whatever the environment holds. When not given, \
             AWS_ACCESS_KEY_ID comes first and then the profile AWS_PROFILE, else `default`.",
        ),
        Flag::<A>::value(
            Group::Credentials,
            "ca-bundle",
            "FILE",
            "Trust these certificates (PEM)",
            |a: &mut A, v| some(&mut a.connection().ca_bundle, path(v)),
        )
        .default("AWS_CA_BUNDLE, else the system's"),
    ];
}

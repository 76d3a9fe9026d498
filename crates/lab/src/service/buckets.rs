//! Buckets.

use s3s::dto::*;
use s3s::{S3Result, s3_error};

use super::Service;
use crate::access::OWNER;

/// The region whose location constraint is left empty.
const CLASSIC: &str = "us-east-1";

impl Service {
    pub(super) fn buckets(&self) -> ListBucketsOutput {
        let buckets = self.store.read();
        let line = |(name, bucket): (&String, &crate::store::Bucket)| Bucket {
            name: Some(name.clone()),
            creation_date: Some(bucket.created.into()),
            bucket_region: Some(self.region.clone()),
        };
        ListBucketsOutput {
            buckets: Some(buckets.iter().map(line).collect()),
            owner: Some(owner()),
            ..Default::default()
        }
    }

    pub(super) fn create(&self, input: &CreateBucketInput) -> S3Result<CreateBucketOutput> {
        let wanted = input
            .create_bucket_configuration
            .as_ref()
            .and_then(|configuration| configuration.location_constraint.as_ref())
            .map_or(CLASSIC, |constraint| constraint.as_str());
        if wanted != self.region {
            return Err(s3_error!(
                IllegalLocationConstraintException,
                "The {wanted} location constraint is incompatible for the region specific endpoint \
                 this request was sent to ({}).",
                self.region
            ));
        }
        if !self.store.create_bucket(&input.bucket)? {
            return Err(s3_error!(
                BucketAlreadyOwnedByYou,
                "Your previous request to create the named bucket succeeded and you already own it."
            ));
        }
        Ok(CreateBucketOutput { location: Some(format!("/{}", input.bucket)) })
    }

    pub(super) fn head(&self, bucket: &str) -> S3Result<HeadBucketOutput> {
        self.store.with_bucket(bucket, |_| HeadBucketOutput {
            bucket_region: Some(self.region.clone()),
            ..Default::default()
        })
    }

    pub(super) fn location(&self, bucket: &str) -> S3Result<GetBucketLocationOutput> {
        let constraint =
            (self.region != CLASSIC).then(|| BucketLocationConstraint::from(self.region.clone()));
        self.store
            .with_bucket(bucket, |_| GetBucketLocationOutput { location_constraint: constraint })
    }
}

/// The one owner.
pub(super) fn owner() -> Owner {
    Owner { display_name: Some(OWNER.to_owned()), id: Some(OWNER.to_owned()) }
}

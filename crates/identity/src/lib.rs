//! Who is calling: the authenticator seam, the embedded issuer and the policy table

//! DICOM units that the fixtures do not reach.

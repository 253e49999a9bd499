"""DICOM objects as they come and as they are named: headers, UIDs, SOP classes, and which ones a model may see."""

// OHIF's settings: one source of data, the archive's DICOMweb behind the same proxy.
window.config = {
  routerBasename: "/",
  extensions: [],
  modes: [],
  showStudyList: true,
  defaultDataSourceName: "archive",
  dataSources: [
    {
      namespace: "@ohif/extension-default.dataSourcesModule.dicomweb",
      sourceName: "archive",
      configuration: {
        friendlyName: "Trial archive",
        name: "archive",
        qidoRoot: "/archive/dicom-web",
        wadoRoot: "/archive/dicom-web",
        wadoUriRoot: "/archive/wado",
        imageRendering: "wadors",
        thumbnailRendering: "wadors",
        qidoSupportsIncludeField: false,
        supportsFuzzyMatching: false,
        supportsWildcard: true,
        enableStudyLazyLoad: true,
      },
    },
  ],
};

// swift-tools-version: 6.2
import PackageDescription

/// Every library of the package: Swift 6 mode, no warnings, and each unsafe operation visible.
let strict: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .strictMemorySafety(),
    .treatAllWarnings(as: .error),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("InternalImportsByDefault"),
]
/// Tests may handle raw bytes without saying so at each place.
let tested: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .treatAllWarnings(as: .error),
    .enableUpcomingFeature("ExistentialAny"),
]

let package = Package(
    name: "causeway",
    products: [
        .executable(name: "causewayd", targets: ["causewayd"]),
        .executable(name: "causeway", targets: ["causeway"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
    ],
    targets: [
        .target(name: "CausewayCore", exclude: ["README.md"], swiftSettings: strict),
        .target(name: "CLinux"),
        .systemLibrary(
            name: "CNetlink", pkgConfig: "libnl-genl-3.0", providers: [.apt(["libnl-genl-3-dev"])]),
        .target(name: "LinuxSystem", dependencies: ["CausewayCore", "CLinux"], swiftSettings: strict),
        .target(name: "NBDDevice", dependencies: ["CLinux", "CNetlink"], swiftSettings: strict),
        .target(name: "CausewayControl", dependencies: ["CLinux"], swiftSettings: strict),
        .target(
            name: "CausewayDaemon",
            dependencies: [
                "CausewayCore", "LinuxSystem", "NBDDevice", "CausewayControl",
                .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: strict),
        .executableTarget(
            name: "causewayd",
            dependencies: [
                "CausewayDaemon", .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            swiftSettings: strict),
        .executableTarget(
            name: "causeway",
            dependencies: [
                "CausewayControl", .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            swiftSettings: strict),
        .target(name: "Simulation", dependencies: ["CausewayCore"], swiftSettings: strict),
        .executableTarget(name: "Simulator", dependencies: ["Simulation"], swiftSettings: strict),
        .executableTarget(
            name: "Bench",
            dependencies: [
                "causeway", "causewayd",  // run, not called: so that `swift run Bench` measures fresh ones
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            exclude: ["README.md"], swiftSettings: tested),
        .testTarget(
            name: "CausewayCoreTests", dependencies: ["CausewayCore", "Simulation", "MallocCounter"],
            path: "Tests/CausewayCore",
            swiftSettings: tested),
        .testTarget(
            name: "LinuxSystemTests", dependencies: ["LinuxSystem", "CLinux"], path: "Tests/LinuxSystem",
            swiftSettings: tested),
        .testTarget(
            name: "NBDDeviceTests", dependencies: ["NBDDevice", "CLinux"], path: "Tests/NBDDevice",
            swiftSettings: tested),
        .testTarget(
            name: "CausewayControlTests", dependencies: ["CausewayControl"], path: "Tests/CausewayControl",
            swiftSettings: tested),
        .testTarget(
            name: "CausewayDaemonTests", dependencies: ["CausewayDaemon"], path: "Tests/CausewayDaemon",
            swiftSettings: tested),
        .testTarget(
            name: "SimulationTests", dependencies: ["Simulation"], path: "Tests/Simulation",
            swiftSettings: tested),
        .target(name: "MallocCounter", path: "Tests/MallocCounter"),
        .testTarget(
            name: "TidyTests", dependencies: ["MallocCounter"], path: "Tests/Tidy",
            exclude: ["hot-path-gate.sh", "hot-functions.txt"], swiftSettings: tested),
        .testTarget(name: "BenchTests", dependencies: ["Bench"], path: "Tests/Bench", swiftSettings: tested),
    ]
)

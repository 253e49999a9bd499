// From a picture to an answer. Not built here: see README.md.

import CoreGraphics
import CoreML
import CoreVideo
import Foundation

let MODEL = "pneumoscope-opacity"

struct OperatingPoint: Decodable {
    let name: String
    let threshold: Double
}

struct Label: Decodable {
    let name: String
}

struct Refusal: Decodable {
    let ood_threshold: Double
}

/// What the app needs of card.json; see docs/guides/export.md.
struct Card: Decodable {
    let labels: [Label]
    let operating_points: [OperatingPoint]
    let default_operating_point: String
    let refusal: Refusal
    let not_looked_for: [String]

    var threshold: Double {
        operating_points.first { $0.name == default_operating_point }!.threshold
    }
}

enum Answer {
    case refused(String)
    case decided(label: String, probability: Double)
}

enum RadiographError: Error {
    case missing(String)
    case unreadable
}

struct Classifier {
    let model: MLModel
    let card: Card

    init() throws {
        guard let program = Bundle.main.url(forResource: MODEL, withExtension: "mlmodelc") else {
            throw RadiographError.missing("\(MODEL).mlpackage")
        }
        guard let description = Bundle.main.url(forResource: "card", withExtension: "json") else {
            throw RadiographError.missing("card.json")
        }
        model = try MLModel(contentsOf: program)
        card = try JSONDecoder().decode(Card.self, from: Data(contentsOf: description))
    }

    func answer(_ picture: CGImage) throws -> Answer {
        let input = try MLDictionaryFeatureProvider(dictionary: ["image": MLFeatureValue(pixelBuffer: grey(picture))])
        let output = try model.prediction(from: input)
        guard let ood = output.featureValue(for: "ood")?.multiArrayValue?[0].doubleValue,
              let probabilities = output.featureValue(for: "probabilities")?.dictionaryValue as? [String: NSNumber]
        else { throw RadiographError.missing("an output of the program") }
        // "not <=", so that a score that is not a number is refused too.
        if !(ood <= card.refusal.ood_threshold) {
            return .refused("It is unlike the images that this model was calibrated on.")
        }
        let first = card.labels[0].name
        let p = probabilities[first]?.doubleValue ?? 0
        if p >= card.threshold {
            return .decided(label: first, probability: p)
        }
        // Core ML's own label is the likeliest class; the card's decision applies its threshold to the first one.
        let rest = probabilities.filter { $0.key != first }.max { $0.value.doubleValue < $1.value.doubleValue }!
        return .decided(label: rest.key, probability: rest.value.doubleValue)
    }

    /// Stretch a picture to the program's size, as one grey channel of 8 bits; row 0 is the head.
    private func grey(_ picture: CGImage) throws -> CVPixelBuffer {
        let constraint = model.modelDescription.inputDescriptionsByName["image"]!.imageConstraint!
        let (width, height) = (constraint.pixelsWide, constraint.pixelsHigh)
        var made: CVPixelBuffer?
        CVPixelBufferCreate(nil, width, height, kCVPixelFormatType_OneComponent8, nil, &made)
        guard let buffer = made else { throw RadiographError.unreadable }
        CVPixelBufferLockBaseAddress(buffer, [])
        defer { CVPixelBufferUnlockBaseAddress(buffer, []) }
        guard let context = CGContext(
            data: CVPixelBufferGetBaseAddress(buffer), width: width, height: height, bitsPerComponent: 8,
            bytesPerRow: CVPixelBufferGetBytesPerRow(buffer), space: CGColorSpaceCreateDeviceGray(),
            bitmapInfo: CGImageAlphaInfo.none.rawValue
        ) else { throw RadiographError.unreadable }
        context.interpolationQuality = .high
        context.draw(picture, in: CGRect(x: 0, y: 0, width: width, height: height))
        return buffer
    }
}
